"""The figures of a subject's ramp: start at density, capacity, memory and its split, kernels; pure."""

from collections.abc import Iterator

from density.capacity.capacities import capacities
from density.capacity.footprint import Line
from density.capacity.forecast import outlook
from density.capacity.split import split_memory
from density.capacity.versus.figure import Figure
from density.ceilings.reading import Bounds
from density.state import RunState

TOTAL = ("memory.available", "")
NO_PROOF = "the ramp was too short, or the host too busy, to tell it from noise"
PHASES = ("created", "started", "ready")
RAMPED = (
    *(("start", f"density.{phase}") for phase in PHASES),
    *((row, "") for row in ("capacity", "overhead", "kernels")),
)
"""Row and name of what a ramp tells; an empty name is for all of the row."""


def figures_of_run(state: RunState, bounds: Bounds, subject: str) -> Iterator[Figure]:
    """What a ramp of this subject alone tells; its state at the end."""
    if state.peak.count == 0:
        reason = state.outcome.reason if state.outcome else "it was cut off"
        for row, name in RAMPED:
            yield Figure(row=row, name=name, subject=subject, why=f"not one was ready when the ramp ended: {reason}")
        return
    yield from _start(state, subject)
    yield from _capacity(state, bounds, subject)
    yield from _memory(state, bounds, subject)
    yield from _kernels(state, subject)


def _start(state: RunState, subject: str) -> Iterator[Figure]:
    workload = state.workloads[subject]
    words = f"{state.peak.count} at density"
    times = (workload.created_seconds, workload.started_seconds, workload.ready_seconds)
    for phase, seconds in zip(PHASES, times, strict=True):
        name = f"density.{phase}"
        yield Figure(row="start", name=name, subject=subject, unit="seconds", samples=tuple(seconds), words=words)


def _capacity(state: RunState, bounds: Bounds, subject: str) -> Iterator[Figure]:
    hard = capacities(state, bounds).hard
    yield Figure(
        row="capacity", name="count", subject=subject, unit="instances", samples=(hard.count,),
        low=hard.low, high=hard.high, words=hard.kind,
    )  # fmt: skip
    yield Figure(row="capacity", name="verdict", subject=subject, words=_first(state))


def _first(state: RunState) -> str:
    """What ends it first: what ended the ramp where a ceiling did, else the nearest by the forecast."""
    if state.outcome and state.outcome.ceiling:
        return f"{state.outcome.ceiling} {state.outcome.subject}".rstrip()
    if state.forecast:
        return f"{state.forecast[0].ceiling} {state.forecast[0].subject}".rstrip()
    return "nothing in sight"


def _memory(state: RunState, bounds: Bounds, subject: str) -> Iterator[Figure]:
    workloads = [workload.workload for workload in state.workloads.values()]
    known = outlook(state, values=state.values(), workloads=workloads, bounds=bounds)
    lines = {"total": known.lines.get(TOTAL), **_parts(split_memory(state, workloads))}
    touched = state.workloads[subject].workload.touch_bytes
    yield Figure(row="overhead", name="touched", subject=subject, unit="bytes", samples=(touched,))
    for name, fitted in lines.items():
        value, low, high = fitted.footprint()[subject] if fitted else (0.0, 0.0, 0.0)
        if low > 0:
            yield Figure(row="overhead", name=name, subject=subject, unit="bytes", samples=(value,), low=low, high=high)
        else:
            yield Figure(row="overhead", name=name, subject=subject, why=NO_PROOF)


def _parts(split: dict[str, Line]) -> dict[str, Line]:
    return {name.removeprefix("memory."): fitted for name, fitted in split.items() if name != "memory.tester"}


def _kernels(state: RunState, subject: str) -> Iterator[Figure]:
    kernels = state.workloads[subject].kernels
    if kernels:
        words = ", ".join(f"{release}" for release, _ in kernels.most_common())
        yield Figure(row="kernels", name="release", subject=subject, words=words)
    else:
        yield Figure(row="kernels", name="release", subject=subject, why="it has no kernel to report")
