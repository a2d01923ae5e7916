"""Every outcome that a state can have has a report, in every format: whatever happened, and wherever it broke off."""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from support.recorded_runs import record
from support.simulation import simulate

from density.ceilings.catalog import CATALOG
from density.cli.missed import missed
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    Held,
    HostSampled,
    InstanceChanged,
    OutcomeName,
    RunStarted,
    StageEntered,
    Stopped,
    TornDown,
    WaveSettled,
)
from density.metrics.current import bounds_of_run
from density.model import Failure, Phase, Workload
from density.profile.spec import Objectives, Profile, Ramp, Require, SimulatedHost
from density.report.checks import checks
from density.report.csv import csv_files
from density.report.formats import ONE_FILE
from density.report.history import collect
from density.report.recorded import Recorded, read_run
from density.report.result import result
from density.report.summary import print_summary

WEB, DB = Workload(name="web", engine="simulated"), Workload(name="db", engine="simulated")
PROFILE = Profile(
    name="shop",
    workloads=(WEB, DB),
    ramp=Ramp(max_instances=14, hold_seconds=3.0),
    objectives=Objectives(ready_p95_seconds=5.0, failures_share=0.2),
    require=Require(hard=10, recommended=10),
    simulated=SimulatedHost(failure_share=0.05),
)
EXITED = Failure("killed", "exit code 1", ("FATAL: DATABASE_URL is not set",))
FAST = [name for name in ONE_FILE if name != "html"]


async def _interrupt(controller: Controller, _: SimulatedEngine) -> None:
    await anyio.sleep(9.3)
    controller.interrupt()


STREAMS: Mapping[str, Callable[[], Sequence[Event]]] = {
    "max": lambda: simulate(PROFILE).events,
    "one": lambda: simulate(replace(PROFILE, workloads=(WEB,), ramp=replace(PROFILE.ramp, max_instances=1))).events,
    "forecast": lambda: simulate(replace(PROFILE, ramp=Ramp(until="forecast", start=2))).events,
    "objective": lambda: simulate(replace(PROFILE, objectives=Objectives(ready_p95_seconds=0.2))).events,
    "memory": lambda: (
        simulate(replace(PROFILE, simulated=SimulatedHost(memory_bytes=2**30, used_memory_bytes=0))).events
    ),
    "full": lambda: (
        simulate(replace(PROFILE, simulated=SimulatedHost(memory_bytes=2**30, used_memory_bytes=2**30))).events
    ),
    "none ready": lambda: simulate(replace(PROFILE, workloads=(replace(WEB, image="exits"),))).events,
    "no image": lambda: simulate(replace(PROFILE, workloads=(replace(WEB, image="missing"),))).events,
    "interrupted": lambda: simulate(PROFILE, during=_interrupt).events,
}


@cache
def stream(name: str) -> Sequence[Event]:
    """The events of one of STREAMS."""
    return STREAMS[name]()


def dying(events: Sequence[Event], seconds: float, *, workload: str = "") -> list[Event]:
    """The stream in which each instance (of this workload; empty: of all) dies so long after it was ready."""
    deaths = [
        replace(event, at=event.at + seconds, phase=Phase.LOST, failure=EXITED, details={})
        for event in events
        if isinstance(event, InstanceChanged)
        and event.phase is Phase.READY
        and event.workload == (workload or event.workload)
    ]
    dead = {death.instance_id: death.at for death in deaths}
    kept = [
        event for event in events
        if not (isinstance(event, InstanceChanged) and event.at >= dead.get(event.instance_id, math.inf))
    ]  # fmt: skip
    return sorted([*kept, *deaths], key=lambda event: event.at)


def recorded(events: Sequence[Event]) -> Recorded:
    """As `read_run` reads it from a record."""
    state, history = collect(events)
    bounds = bounds_of_run(state)
    return Recorded(state, history, bounds, result(state, bounds))


def render(events: Sequence[Event], formats: Sequence[str]) -> None:
    """Everything that is made of a run."""
    run = recorded(events)
    text = json.dumps(run.result, allow_nan=False)
    assert json.loads(text)["run_id"] == run.state.run_id
    console = Console(file=io.StringIO(), width=80)
    print_summary(run.result, console, run_dir="r")
    assert all(missed(run.result))
    assert all(csv_files(run).values())
    for name in formats:
        _, make = ONE_FILE[name]
        assert make(run)


class Stream(list[Event]):
    """Events, shown by a few words when an example fails."""

    def __repr__(self) -> str:
        return (
            f"{len(self)} events, the last {self[-1].kind}, {[event for event in self if isinstance(event, Stopped)]}"
        )


numbers = st.sampled_from((0.0, math.inf, -math.inf, math.nan, 1.0, 1e18)) | st.floats(-10, 1000)
subjects = st.sampled_from(("", "dockerd"))


@st.composite
def forecasts(draw: st.DrawFn) -> Forecasted:
    """Of any ceilings, with any numbers in their order, as an older record or a noisy host may have them."""
    ceilings = []
    for entry in draw(st.lists(st.sampled_from(CATALOG), max_size=3, unique_by=lambda ceiling: ceiling.id)):
        low, count, high = sorted((draw(numbers), draw(numbers), draw(numbers)))
        ceilings.append(
            CeilingForecast(entry.id, draw(subjects), draw(numbers), draw(numbers), draw(numbers), count, low, high,
                            typical=draw(st.booleans()))
        )  # fmt: skip
    return Forecasted(0.0, tuple(ceilings))


@st.composite
def endings(draw: st.DrawFn, at: float) -> list[Event]:
    """How a run may end, or break off while it does."""
    counts = {"web": draw(st.integers(0, 9)), "db": draw(st.integers(0, 9))}
    after = {name: draw(st.integers(0, count)) for name, count in counts.items()}
    outcome: OutcomeName = draw(st.sampled_from(get_args(OutcomeName)))
    named = draw(st.sampled_from(CATALOG)).id if outcome in ("ceiling", "forecast") else ""
    events: list[Event] = [
        Stopped(at, outcome, draw(st.sampled_from(("", "why"))), named, draw(subjects)),
        Held(at, counts, after, draw(st.sampled_from(((), ("memory.available at 1 of 2",)))), kept=draw(st.booleans())),
        StageEntered(at, "teardown"),
        TornDown(at, draw(st.integers(0, 9)), draw(st.sampled_from(((), ("density-r-web-00001",)))), 1.0),
        StageEntered(at, "done"),
    ]
    return [event for event in events if draw(st.integers(0, 4))]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """A real stream, cut off anywhere, in which instances may die, events may be missing, and any end may follow."""
    events = list(stream(draw(st.sampled_from(sorted(STREAMS)))))
    if draw(st.booleans()):
        events = dying(
            events, draw(st.sampled_from((0.0, 0.5, 2.0, 30.0))), workload=draw(st.sampled_from(("", "web")))
        )
    events = events[: draw(st.integers(1, len(events)))] if draw(st.booleans()) else events
    left_out = draw(
        st.sets(st.sampled_from((HostSampled, WaveSettled, Forecasted, Held, Stopped, TornDown)), max_size=2)
    )
    events = [event for event in events if type(event) not in left_out]
    started = events[0]
    assert isinstance(started, RunStarted)
    events[0] = replace(
        started,
        objectives=draw(st.sampled_from(({}, started.objectives, {"probe_p99_seconds": 0.05, "failures_share": 0.0}))),
        required=draw(st.sampled_from(({}, started.required, {"slo": 5}))),
    )
    if draw(st.booleans()):
        events = [draw(forecasts()) if isinstance(event, Forecasted) else event for event in events]
    if draw(st.booleans()):
        events += draw(endings(events[-1].at + 1))
    return Stream(events)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(streams())
def test_whatever_happened_has_a_report(events: list[Event]) -> None:
    """Summary, Markdown, CSV, JUnit and JSON without an error, and no number in the JSON that is none."""
    render(events, FAST)


@settings(deadline=None, max_examples=3, suppress_health_check=list(HealthCheck))
@given(streams())
def test_whatever_happened_has_a_page(events: list[Event]) -> None:
    """With all its charts, which take a second."""
    render(events, ["html"])


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_run_may_break_off_after_any_event(name: str) -> None:
    """Prefixes of a real stream: the shortest ones, some between, and the whole."""
    events = stream(name)
    for length in {1, 2, 3, len(events), *range(1, len(events), max(1, len(events) // 8))}:
        render(events[:length], FAST)


@pytest.mark.parametrize("workload", ["", "web"])
@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_instances_that_die_after_they_were_ready(workload: str, seconds: float) -> None:
    """All of them, or all of one workload: every format, the page too, has their last line."""
    events = dying(stream("max"), seconds, workload=workload)
    render(events, list(ONE_FILE) if workload else FAST)
    run = recorded(events)
    assert "is not set" in ONE_FILE["markdown"][1](run)
    assert "DATABASE_URL" in json.dumps(run.result)


def test_what_a_record_lacks_is_told(tmp_path: Path) -> None:
    """A run whose result says that its record lacks events: the report has the same, as a doubt, and CI an error."""
    run_dir = record(stream("max"), tmp_path / "r")
    whole = read_run(run_dir)
    assert whole.whole
    extent: dict[str, Any] = {"complete": False, "last_event_at": 9.5, "missing_events": 200}
    extent |= {"missing": {"warned": 200}, "lacks": ["its warnings"]}
    (run_dir / "result.json").write_text(json.dumps(whole.result | {"record": extent}))
    run = read_run(run_dir)
    assert not run.whole
    assert run.result["record"] == extent
    assert [check.grade for check in checks(run) if check.name == "Whole record"] == ["doubtful"]
    assert "<error" in ONE_FILE["junit"][1](run)
