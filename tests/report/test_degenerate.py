"""The result of runs that measured next to nothing, or nonsense: always a document, never a number that is none."""

import io
import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from density.ceilings.reading import Bounds
from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    StageEntered,
    Stopped,
    WaveSettled,
    WaveStarted,
)
from density.model import Phase, Workload
from density.report.result import Document, result
from density.report.summary import print_summary
from density.state import fold

NAMES = ("web", "db")
VALUES = (
    "memory.total_bytes",
    "memory.available_bytes",
    "memory.anon_bytes",
    "memory.slab_bytes",
    "memory.pagetables_bytes",
    "memory.kernelstack_bytes",
    "slice.memory_bytes",
    "tester.rss_bytes",
    "tasks.count",
    "tasks.pid_max",
    "files.open",
    "files.max",
    "disk.runs.total_bytes",
    "disk.runs.available_bytes",
)
numbers = st.sampled_from((math.nan, math.inf, -math.inf)) | st.integers(-(10**12), 10**18).map(float)
"""What sensors read are counts and bytes, or something went wrong."""
ordinary = st.integers(0, 10**12).map(float)


@st.composite
def forecasts(draw: st.DrawFn) -> CeilingForecast:
    """Any forecast that an older record may hold."""
    ceiling, subject = draw(st.sampled_from((("memory.available", ""), ("tasks.pid_max", ""), ("files.process", "d"))))
    counts = sorted((draw(numbers), draw(numbers), draw(numbers)))
    return CeilingForecast(
        ceiling, subject, draw(numbers), draw(numbers), draw(numbers), counts[1], counts[0], counts[2]
    )


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    """Events of a run with up to five waves; each value of the host is constant, falling, rising, wild or missing."""
    workloads = tuple(Workload(name=name, engine="simulated") for name in NAMES[: draw(st.integers(1, 2))])
    kinds = {name: draw(st.sampled_from(("constant", "rising", "falling", "wild", "missing"))) for name in VALUES}
    first = {name: draw(ordinary) for name in VALUES}

    def value(name: str, step: int) -> float:
        match kinds[name]:
            case "rising":
                return first[name] * (1 + step / 10)
            case "falling":
                return first[name] * (1 - step / 10)
            case "wild":
                return draw(numbers)
            case _:
                return first[name]

    events: list[Event] = [RunStarted(0.0, "r", 0.0, "0", "p", "safe", workloads, 100), StageEntered(0.0, "ramp")]
    at, alive = 0.0, dict.fromkeys([workload.name for workload in workloads], 0)
    for wave in range(draw(st.integers(0, 5))):
        sizes = {name: draw(st.integers(0, 4)) for name in alive}
        events.append(WaveStarted(at, wave, sizes, 0))
        for name, size in sizes.items():
            for number in range(size):
                instance = f"{name}-{wave}-{number}"
                events.append(InstanceChanged(at, instance, name, Phase.REQUESTED))
                events.append(InstanceChanged(at + draw(st.floats(0, 10)), instance, name, Phase.READY))
                events.append(ProbeMeasured(at + 10, instance, name, draw(numbers)))
            alive[name] += size
        at += 20
        for step in range(draw(st.integers(0, 7))):
            values = {name: value(name, wave + step) for name in VALUES if kinds[name] != "missing"}
            events.append(HostSampled(at + step + 1, values, 0.0))
        events.append(WaveSettled(at + 9, at, wave, dict(alive), {}, {}))
        events.append(Forecasted(at + 9, tuple(draw(st.lists(forecasts(), max_size=3)))))
        at += 10
    if draw(st.booleans()):
        ended = draw(st.sampled_from((("ceiling", "memory.available"), ("forecast", "tasks.pid_max"), ("max", ""))))
        events.append(Stopped(at, ended[0], "why", ended[1]))  # type: ignore[arg-type]  # a sampled pair's words
    return events


@settings(deadline=None, max_examples=150)
@given(runs())
def test_any_run_has_a_result(events: list[Event]) -> None:
    """One sample or none, constant use, falling use, values that are no numbers: a document and a summary."""
    document = result(fold(events), Bounds())
    assert json.loads(json.dumps(document, allow_nan=False)) == json.loads(json.dumps(document))
    _sane(document)
    print_summary(document, Console(file=io.StringIO(), width=80), run_dir="r")


def _sane(document: Document) -> None:
    for capacity in document["capacity"].values():
        if capacity["kind"] in {"not tried", "not measured"}:
            assert capacity["count"] is capacity["low"] is capacity["high"] is None
            continue
        assert 0 <= capacity["low"] <= capacity["count"] <= capacity["high"]
    for ceiling in (document["verdict"] or {"next": []})["next"]:
        assert ceiling["low"] <= ceiling["count"]
        assert ceiling["high"] is None or ceiling["count"] <= ceiling["high"]
