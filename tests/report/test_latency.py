"""Latency against count, in the result and in words."""

from typing import Any

import numpy as np
import pytest
from support.hosts import random_host
from support.latencies import series
from support.simulation import simulate

from density.capacity.knee import latency
from density.ceilings.reading import Bounds
from density.events import Event, InstanceChanged, ProbeMeasured, RunStarted
from density.model import Phase, Workload
from density.report.latency import latency_rows
from density.report.result import result
from density.state import fold

UNKNOWN = {"shape": "unknown", "up_to": 3}
STRAIGHT = {"shape": "line", "up_to": 2474}
KNEE = {
    "shape": "knee",
    "up_to": 900,
    "count": 412,
    "low": 380,
    "high": 440,
    "before_seconds": 0.0008,
    "after_seconds": 0.012,
}


def rows(**workloads: tuple[dict[str, Any], dict[str, Any]]) -> list[tuple[str, str]]:
    """The summary's rows for workloads of Docker with these latencies: ready, probe."""
    found = {
        name: {"engine": "docker", "latency": {"ready": ready, "probe": probe}}
        for name, (ready, probe) in workloads.items()
    }
    return [(label, text.plain) for label, text in latency_rows(found)]


def test_a_knee_is_a_row_of_its_own() -> None:
    """With its interval, and what one more container adds on either side."""
    said = "median time to ready: knee at 412 (380 to 440): 800 us a container before, 12 ms after"
    assert rows(web=(KNEE, STRAIGHT)) == [("latency", said)]
    flat = {**KNEE, "before_seconds": -0.001}
    assert rows(web=(STRAIGHT, flat), db=(KNEE, UNKNOWN)) == [
        ("latency", "web median ping: knee at 412 (380 to 440): flat before, 12 ms a container after"),
        ("", f"db {said}"),
    ]


def test_without_a_knee_one_row_says_up_to_where() -> None:
    """Of those latencies that there were enough of; where there were none, nothing is said."""
    assert rows(web=(STRAIGHT, STRAIGHT), db=(UNKNOWN, UNKNOWN)) == [
        ("latency", "no knee in median time to ready and median ping up to 2,474")
    ]
    assert rows(web=(STRAIGHT, UNKNOWN)) == [("latency", "no knee in median time to ready up to 2,474")]
    assert rows(web=(UNKNOWN, UNKNOWN)) == []


def launches(*, knee: int, count: int) -> list[Event]:
    """A run of one launch after the other, slower and slower after the knee, each followed by a ping."""
    chance = np.random.default_rng(1)
    events: list[Event] = [RunStarted(0.0, "r", 0.0, "0", "p", "safe", (Workload(name="web", engine="docker"),), 0)]
    at = 0.0
    for number in range(count):
        seconds = 0.5 + 0.01 * max(0, number - knee) + 0.02 * float(chance.normal())
        events.append(InstanceChanged(at, f"web-{number}", "web", Phase.REQUESTED))
        at += seconds
        events.append(InstanceChanged(at, f"web-{number}", "web", Phase.READY))
        events.append(ProbeMeasured(at, f"web-{number}", "web", 0.001))
    return events


def test_the_result_has_the_knee_of_a_run() -> None:
    """Count at the launch against time to ready, count at the ping against its round trip."""
    (found,) = (each["latency"] for each in result(fold(launches(knee=200, count=300)), Bounds())["workloads"].values())
    assert found["ready"]["shape"] == "knee"
    assert found["ready"]["low"] <= 200 <= found["ready"]["high"]
    assert found["ready"]["after_seconds"] == pytest.approx(0.01, rel=0.1)
    assert (found["ready"]["samples"], found["ready"]["up_to"]) == (300, 299)
    assert (found["probe"]["shape"], found["probe"]["up_to"]) == ("flat", 300)
    assert found["scaling"] is None


def test_in_flight_counts_the_launch_itself() -> None:
    """Of three requested at once the last has three under way; once two are ready, a ping is beside one."""
    events = launches(knee=0, count=0)
    events += [InstanceChanged(1.0, f"web-{number}", "web", Phase.REQUESTED) for number in range(3)]
    events += [InstanceChanged(2.0, f"web-{number}", "web", Phase.READY) for number in range(2)]
    events.append(ProbeMeasured(3.0, "web-0", "web", 0.001))
    events.append(InstanceChanged(4.0, "web-2", "web", Phase.READY))
    state = fold(events).workloads["web"]
    assert list(state.ready_at.in_flight) == [1, 2, 3]
    assert list(state.ready_at.counts) == [0, 0, 0]
    assert (list(state.probed_at.in_flight), list(state.probed_at.counts)) == ([1], [2])


@pytest.mark.parametrize("seed", range(4))
def test_simulated_hosts_have_no_knee(seed: int) -> None:
    """Their launches take longer in a straight line, and with the launches in flight."""
    run = simulate(random_host(seed).profile)
    for workload in run.state.workloads.values():
        assert latency(workload.ready_at).shape != "knee"
        assert latency(workload.probed_at).shape != "knee"


def test_a_latency_is_the_same_whatever_the_order_of_its_counts() -> None:
    """A search that steps back and launches again measures the same counts later."""
    chance = np.random.default_rng(3)
    counts = np.arange(400)
    seconds = 0.3 + 0.01 * np.maximum(0, counts - 250) + 0.02 * chance.normal(size=400)
    back = np.concatenate((counts[200:], counts[:200]))
    assert latency(series(counts, seconds)) == latency(series(back, np.concatenate((seconds[200:], seconds[:200]))))
