"""OpenMetrics text of a recorded run: whole, in order, with the run's own times."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.observed import HOST, beginning, ending, series, text_of
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.simulation import simulate

from density.errors import DensityError
from density.events import Event, HostSampled, RunStarted
from density.metrics.export import export
from density.metrics.openmetrics import head, names
from density.metrics.spool import Spool
from density.metrics.table import TABLE
from density.metrics.table.entry import Row
from density.model import Workload
from density.profile.spec import Profile, Ramp

LINE = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+) (?P<time>\d+\.\d{3})")
Sample = tuple[str, str, float, float]


def exported(events: list[Event]) -> str:
    """The whole text."""
    pieces: list[str] = []
    export(iter(events), pieces.append)
    return "".join(pieces)


def families(text: str) -> Iterator[tuple[str, list[Sample]]]:
    """Each block of samples under its TYPE line: name, labels without `le`, value, time."""
    for block in text.removesuffix("# EOF\n").split("# TYPE ")[1:]:
        first, *rest = block.splitlines()
        yield first.split()[0], [_sample(line) for line in rest if not line.startswith("#")]


def _sample(line: str) -> Sample:
    match = LINE.fullmatch(line)
    assert match, line
    return match["name"], match["labels"], float(match["value"]), float(match["time"])


def test_a_family_is_in_one_piece_and_its_series_are_too() -> None:
    """As OpenMetrics demands: no family comes twice, no series is interleaved, times only grow, the end is marked."""
    text = exported([*beginning(), *ending()])
    assert text.endswith("# EOF\n")
    found = list(families(text))
    assert len({name for name, _ in found}) == len(found) == len(TABLE)
    for name, samples in found:
        metrics = [re.sub(r',le="[^"]*"', "", labels) for _, labels, _, _ in samples]
        assert len([key for key, _ in groupby(metrics)]) == len(set(metrics)), name
        for each in {(sample, labels) for sample, labels, _, _ in samples}:
            times = [time for sample, labels, _, time in samples if (sample, labels) == each]
            assert all(before < after for before, after in pairwise(times)), each


def test_another_parser_reads_it() -> None:
    """The client library's strict one; it knows no histograms with several times, so these are left to promtool."""
    text = exported([*beginning(), *ending()])
    blocks = [block for block in text.removesuffix("# EOF\n").split("# TYPE ")[1:] if " histogram\n" not in block]
    again = "".join(f"# TYPE {block}" for block in blocks) + "# EOF\n"
    parsed = text_string_to_metric_families(again)  # type: ignore[no-untyped-call]  # the library has no types there
    assert len(list(parsed)) == sum(metric.type != "histogram" for metric in TABLE)


def test_the_last_moment_is_what_a_last_scrape_would_have_got() -> None:
    """The same series with the same values, capacities and verdict included."""
    events = [*beginning(), *ending()]
    samples = [sample for _, found in families(exported(events)) for sample in found]
    last = max(time for _, _, _, time in samples)
    at_the_end = [f"{name}{{{labels}}} {value}\n" for name, labels, value, time in samples if time == last]
    assert series("".join(sorted(at_the_end))) == pytest.approx(series(text_of(events)))


def test_every_sample_of_the_host_is_a_moment_on_the_calendar() -> None:
    """Monotonic times are put on the clock of the wall by the run's first event; samples in one millisecond are one."""
    run = simulate(
        Profile(name="t", workloads=(Workload(name="web", engine="simulated"),), ramp=Ramp(max_instances=20))
    )
    events = [replace(event, wall=1.7e9) if isinstance(event, RunStarted) else event for event in run.events]
    (started,) = (event for event in events if isinstance(event, RunStarted))
    sampled = {round(1.7e9 + event.at - started.at, 3) for event in events if isinstance(event, HostSampled)}
    times = {time for name, found in families(exported(events)) if name == "density_wave" for *_, time in found}
    assert sampled <= times
    assert len(times) == len(sampled) + 1
    assert max(times) == pytest.approx(1.7e9 + run.state.now - started.at, abs=0.002)


def test_a_record_that_was_cut_off_is_exported_as_far_as_it_goes() -> None:
    """At any event after the first."""
    events = [*beginning(), *ending()]
    for end in (1, 2, 10, len(beginning()), len(events) - 3):
        assert exported(events[:end]).endswith("# EOF\n")


def test_a_record_in_which_nothing_began_is_one_clear_sentence() -> None:
    """And nothing is written that would look whole."""
    pieces: list[str] = []
    with pytest.raises(DensityError, match="the run was cut off before it began"):
        export(iter([]), pieces.append)
    assert pieces == []


def test_names_with_quotes_and_newlines_stay_in_their_line() -> None:
    """Labels and help texts are escaped."""
    metric = next(metric for metric in TABLE if metric.name == "density_engine_info")
    (sample,) = names(metric, "r1", Row(("docker", 'v"1\n2', "C:\\x"), 1))
    assert sample == 'density_engine_info{run_id="r1",engine="docker",version="v\\"1\\n2",endpoint="C:\\\\x"}'
    assert "\n" not in head(metric).splitlines()[-1]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.text("ab", min_size=1, max_size=5))), st.integers(1, 9)
)
def test_a_spool_sorts_by_key_and_keeps_each_keys_order(added: list[tuple[int, int, str]], full: int) -> None:
    """However little it keeps in memory."""
    with Spool(full=full) as spool:
        for major, minor, text in added:
            spool.add((major, minor), text)
        pieces = list(spool.pieces())
    assert [key for key, _ in pieces] == sorted(key for key, _ in pieces)
    for key in {key for key, _ in pieces}:
        expected = "".join(text for major, minor, text in added if (major, minor) == key)
        assert "".join(text for other, text in pieces if other == key) == expected


def test_the_hosts_values_are_those_of_their_moment() -> None:
    """A value that changes between two samples has both values at their times."""
    first = [*beginning()]
    events = [*first, HostSampled(14.0, {**HOST, "load.one": 9.5}, 0.001)]
    found = dict(families(exported(events)))["density_host_load1"]
    assert [(value, time) for _, _, value, time in found] == [
        (2.5, 1.7e9 + 10),
        (9.5, 1.7e9 + 14),
        (9.5, 1.7e9 + 14.001),
    ]
