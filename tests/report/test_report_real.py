"""The page of a real run, with noise, a slice, pressure and emulated VMs: its numbers asked for again by SQL."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.answers import expected
from support.asked import Asked, Read, asking
from support.recorded_runs import recorded

from density.capacity.footprint import student
from density.report.html import page
from density.report.recorded import read_run
from density.units import format_bytes, format_seconds

FITTED = ("footprint", "spread")
"""Come from a robust fit; `test_costs_are_those_of_a_plain_fit` holds them against a plain one."""
JUDGED = "verdict.confidence"
"""Odds among all suspects, which tests of the verdict are about."""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its record."""
    return recorded("real", tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def asked(run_dir: Path) -> Iterator[Asked]:
    """The record, to be asked."""
    with asking(run_dir) as asked:
        yield asked


@pytest.fixture(scope="module")
def read(run_dir: Path) -> Read:
    """The page."""
    return Read(page(read_run(run_dir)))


def test_every_counted_number_is_what_the_record_says(read: Read, asked: Asked) -> None:
    """Capacities, verdict, what binds next, waves, thirty ceilings' use, launches, failures, the tester."""
    counted = [each for each in read.facts if each[0].split(".")[0] not in FITTED and each[0] != JUDGED]
    assert len({key for key, _, _ in counted if key.startswith("use.")}) > 100
    wrong = [
        (key, found, truth)
        for key, found, _ in counted
        if not math.isclose(found, truth := expected(asked, key), rel_tol=1e-6, abs_tol=1e-6)
    ]
    assert not wrong
    assert [0 < found < 1 for key, found, _ in read.facts if key == JUDGED] == [True]


def test_what_died_unnoticed_is_in_no_capacity(read: Read, asked: Asked) -> None:
    """A VM was lost and told late: more were counted ready at once than ever ran, and the page says which is it."""
    facts = {key: found for key, found, _ in read.facts}
    assert asked.lost() == 1
    assert facts["capacity.hard.count"] == 71 < asked.peak() == 72
    assert read.captions["count"].endswith("Deaths are told late: 71 of them really ran.")
    assert read.captions["forecast"].endswith("it bound at 71.")


def test_costs_are_those_of_a_plain_fit(read: Read, asked: Asked) -> None:
    """Plain least squares through the last readings at rest says the same within its error, with as wide an interval.

    The robust fit weighs the rests, so the two differ; by less than the wider margin, and margins by less than 8 times.
    """
    facts = {key: found for key, found, _ in read.facts if key.startswith("footprint.")}
    keys = [key.removesuffix(".value") for key in facts if key.endswith(".value")]
    assert len(keys) > 20
    for key in keys:
        middle, low, high = (facts[f"{key}.{part}"] for part in ("value", "low", "high"))
        assert high - middle == pytest.approx(middle - low, rel=1e-6, abs=1e-9)
        _, workload, ceiling = key.split(".", 2)
        if (plain := _plain(asked, ceiling.replace("[", " ").rstrip("]"), workload)) is not None:
            slope, margin = plain
            assert abs(slope - middle) <= max(margin, high - middle) + 1e-6 * abs(middle), key
            if margin > 0.01 * middle and high - middle > 0.01 * middle:
                assert 1 / 8 < (high - middle) / margin < 8, key


def _plain(asked: Asked, ceiling: str, workload: str) -> tuple[float, float] | None:
    """Cost of one more and half its 95 % interval; None for parts of the memory, which are no ceilings."""
    if ceiling.startswith("memory.") and ceiling not in {"memory.available", "memory.cgroup"}:
        return None
    names = asked.workloads()
    rests = [json.loads(body) for body in asked.rows("SELECT body FROM event WHERE kind = 'wave_settled' ORDER BY seq")]
    read = [(rest, asked.uses(ceiling, since=rest["since"], until=rest["at"])) for rest in rests]
    rests, use = [rest for rest, some in read if some], np.array([some[-1] for _, some in read if some])
    x = np.array([[1.0, *(rest["counts"].get(name, 0) for name in names)] for rest in rests])
    found, *_ = np.linalg.lstsq(x, use, rcond=None)
    freedom = len(use) - x.shape[1]
    variance = float(np.sum((use - x @ found) ** 2)) / freedom
    place = 1 + names.index(workload)
    return float(found[place]), student(freedom) * math.sqrt(variance * float(np.linalg.inv(x.T @ x)[place, place]))


def test_captions_say_what_the_record_says(read: Read, asked: Asked) -> None:
    """Pressure and pings of the last rest, times to ready of first and last waves, memory and its parts, in words."""
    last = asked.body("wave_settled")
    waits = [last["values"][f"pressure.{what}.some_ratio"] for what in ("cpu", "memory", "io")]
    ready = sum(last["counts"].values())
    pings = asked.rows("SELECT seconds FROM probes WHERE at > ? AND at <= ?", last["since"], last["at"])
    cpu, memory, io = (f"{share:.1%}" for share in waits)
    assert read.captions["pressure"] == (
        f"At rest with {ready} ready, some task waited {cpu} for cpu, {memory} for memory, {io} for io; "
        f"99 of 100 pings took at most {format_seconds(float(np.quantile(pings, 0.99)))} with {ready} ready."
    )
    assert read.captions["ready"] == " ".join(_ready(asked, name) for name in ("web", "vm"))
    facts = {key: found for key, found, _ in read.facts}
    web, vm = (format_bytes(facts[f"footprint.{name}.memory.available.value"]) for name in ("web", "vm"))
    apart = "Parts and whole are measured apart."
    assert read.captions["footprint"] == f"One more web takes {web}, one more vm takes {vm}. {apart}"


def test_pressure_is_that_of_the_rest(asked: Asked) -> None:
    """What the kernel's counter grew by while the host rested; its ten-second average still told of the launches."""
    off = []
    for rest in map(json.loads, asked.rows("SELECT body FROM event WHERE kind = 'wave_settled' AND seq > 100")):
        waited = "json_extract(body, '$.values.\"pressure.cpu.some_total_seconds\"')"
        sql = f"SELECT at, {waited} FROM event WHERE kind = 'host_sampled' AND at > ? AND at <= ?"  # noqa: S608 — ours
        samples = asked.rows(sql, rest["since"], rest["at"])
        (first, before), (last, after) = samples[0], samples[-1]
        off.append(abs(rest["values"]["pressure.cpu.some_ratio"] - (after - before) / (last - first)))
    assert max(off) < 0.1


def _ready(asked: Asked, workload: str) -> str:
    """Launches of small waves are told together with those of the next, until there are five."""
    groups: list[tuple[int, list[float]]] = []
    waves = [(asked.settled(wave), asked.ready(wave, workload)) for wave in asked.waves()]
    for count, times in sorted((count, times) for count, times in waves if count is not None):
        if groups and len(groups[-1][1]) < 5:
            groups[-1] = (count, groups[-1][1] + times)
        elif times:
            groups.append((count, times))
    if len(groups) > 1 and len(groups[-1][1]) < 5:
        (_, before), (count, times) = groups[-2:]
        groups[-2:] = [(count, before + times)]
    said = [(count, format_seconds(float(np.quantile(times, 0.95)))) for count, times in groups]
    (first, within), (most, then) = said[0], said[-1]
    more = f"; with {most}, within {then}" if len(said) > 1 else ""
    return f"With {first} ready, 95 of 100 launches of {workload} were ready within {within}{more}."
