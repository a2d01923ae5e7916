"""Every number on the page, asked for again from `run.sqlite` by SQL that knows nothing of the report."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.answers import expected
from support.asked import Asked, Read, asking
from support.recorded_runs import recorded

from density.report.html import page
from density.report.recorded import read_run
from density.units import format_count, format_odds, format_seconds, format_value

RUNS = ["ceiling", "objective", "interrupted", "max", "cut-off", "forecast", "all-failed"]


@pytest.fixture(params=RUNS, scope="module")
def run_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each recorded run."""
    return recorded(request.param, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def asked(run_dir: Path) -> Iterator[Asked]:
    """Its record."""
    with asking(run_dir) as asked:
        yield asked


@pytest.fixture(scope="module")
def read(run_dir: Path) -> Read:
    """Its page."""
    return Read(page(read_run(run_dir)))


def test_every_number_is_what_the_record_says(read: Read, asked: Asked) -> None:
    """To the last digit that is written, whichever part of the page it is in."""
    assert len(read.facts) > 30
    wrong = []
    for key, value, text in read.facts:
        truth = expected(asked, key)
        if not math.isclose(value, truth, rel_tol=1e-6, abs_tol=1e-6):
            wrong.append((key, value, truth, text))
    assert not wrong


def test_numbers_are_written_as_they_are(read: Read) -> None:
    """What a person reads is the value of the element, rounded as `density.units` rounds."""
    units = ("bytes", "seconds", "ratio", "instances")
    for key, value, text in read.facts:
        ways = {*(format_value(value, unit) for unit in units), format_count(value), format_odds(value)}
        assert text in ways, key


def test_no_other_number_is_on_the_page(read: Read, asked: Asked) -> None:
    """But in quoted words (reasons, evidence, fixes), in the host's fingerprint, and in names such as p95."""
    quoted = {asked.body("stopped").get("reason", ""), *_evidence(read)}
    fixed = "|".join((
        "p50", "p95", "p99", "95% interval", "Intervals are 95%", "95th percentile", "exit code 1",
        "fewer than 5", "at least 5", r"(density )?\d+\.\d+\.\d+", r"20\d{6}-\d{6}-\d{4}",
    ))  # fmt: skip
    for text in read.text:
        if text in quoted or text in _fingerprint(asked):
            continue
        assert not re.search(r"\d", re.sub(fixed, "", text)), text


def _evidence(read: Read) -> Iterator[str]:
    """Sentences of the verdict; `test_judge` checks the numbers in those."""
    told = r"stood at|printed last|one more instance takes|sysctl|/sys/kernel"
    yield from (text for text in read.text if re.search(told, text))


def _fingerprint(asked: Asked) -> set[str]:
    facts = asked.body("host_found").get("facts", {})
    values = {format_value(value, "bytes") if name.endswith("bytes") else f"{value:g}" if isinstance(value, float | int)
              else value for name, value in facts.items()}  # fmt: skip
    return {*values, f"seed {facts.get('seed')} at simulated", f"seed {facts.get('seed'):g} at simulated"}


def captions(asked: Asked) -> Iterator[tuple[str, str]]:
    """What the charts' captions must say of a run that a hard ceiling stopped."""
    peak = asked.peak()
    at = next(at for at, count in asked.alive() if count == peak) - asked.began
    waves = asked.waves()
    yield "count", f"{peak} instances were ready after {format_seconds(at)}, in {len(waves)} waves."
    yield "ceilings", _fullest(asked)
    yield "footprint", "One more web takes 10 MiB, one more db takes 40 MiB. Whose it is could not be told."
    large = [(asked.settled(wave) or 0, asked.rate(wave)) for wave in waves if len(asked.ready(wave)) >= 5]
    (low, first), (high, last) = min(large), max(large)
    units = "instances"
    yield (
        "rate",
        (f"{format_value(first, units)} a second with {low} ready, {format_value(last, units)} a second with {high}."),
    )
    ready, failed, lost = asked.rows("SELECT count(ready_at), count(failed_at), count(lost_at) FROM instances")[0]
    slowest = format_seconds(max(asked.ready()))
    yield "tiles", f"{ready} became ready, the slowest after {slowest}; failed: {failed}, lost: {lost}."
    probes = asked.rows(
        """SELECT seconds FROM probes, (SELECT at, json_extract(body, '$.since') AS since FROM event
           WHERE kind = 'wave_settled' ORDER BY seq DESC LIMIT 1) AS rest
           WHERE probes.at > rest.since AND probes.at <= rest.at"""
    )
    ping = format_seconds(float(np.quantile(probes, 0.99)))
    yield "pressure", f"99 of 100 pings took at most {ping} with {asked.settled(waves[-1])} ready."
    yield "forecast", _early(asked)


def _fullest(asked: Asked) -> str:
    used, limit = max(asked.uses("memory.available")), asked.body("host_sampled")["values"]["memory.total_bytes"]
    of = f"{format_value(used, 'bytes')} of {format_value(limit, 'bytes')}"
    return f"memory.available was at most at {of} ({used / limit:.1%})."


def _early(asked: Asked) -> str:
    for text in asked.rows("SELECT body FROM event WHERE kind = 'forecasted' ORDER BY seq"):
        event = json.loads(text)
        count = [count for at, count in asked.alive() if at <= event["at"]][-1:]
        memory = next(one for one in event["ceilings"] if one["ceiling"] == "memory.available")
        if count and count[0] >= 0.1 * asked.peak():
            low, middle, high = (format_count(memory[part]) for part in ("low", "count", "high"))
            return (
                f"With {count[0]} ready, the forecast for memory.available was {middle} ({low} to {high}); "
                f"it bound at {asked.peak()}."
            )
    raise AssertionError


def test_captions_say_what_the_record_says(tmp_path: Path) -> None:
    """Each chart's caption, made again from the record by SQL."""
    run_dir = recorded("ceiling", tmp_path)
    read = Read(page(read_run(run_dir)))
    with asking(run_dir) as asked:
        for name, caption in captions(asked):
            assert read.captions[name] == caption
    assert set(read.captions) == {"count", "forecast", "ready", "ceilings", "footprint", "pressure", "rate", "tiles"}


def test_a_wave_of_which_nothing_became_ready_is_on_the_page(tmp_path: Path) -> None:
    """It is the one that ran into the ceiling."""
    run_dir = recorded("last-failed", tmp_path)
    read = Read(page(read_run(run_dir)))
    found = {key: value for key, value, _ in read.facts}
    with asking(run_dir) as asked:
        waves = asked.waves()
        assert asked.ready(waves[-1]) == []
        last = f"wave.{waves[-1]}"
        assert (found["waves"], found[f"{last}.ready"]) == (len(waves), 0)
        assert found[f"{last}.failed"] == found[f"{last}.size"] == expected(asked, f"{last}.size")
