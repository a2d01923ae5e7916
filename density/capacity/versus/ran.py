"""The figures of a subject's ramp: start at density, capacity, memory and its split, kernels; pure."""

from collections.abc import Iterator, Mapping

from density.capacity.versus.figure import Figure
from density.capacity.versus.fit import Fit, how_many
from density.capacity.versus.memory import Cost, memory_costs
from density.ceilings.reading import Bounds
from density.model import Workload
from density.state import RunState, WorkloadState

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
    memory = memory_costs(state, bounds)
    workload = state.workloads[subject]
    yield from _start(workload, state.peak.count, subject)
    yield from _capacity(how_many(state, bounds, memory), subject)
    yield from _overhead(memory, workload.workload, subject)
    yield _kernels(workload, subject)


def _start(workload: WorkloadState, peak: int, subject: str) -> Iterator[Figure]:
    yield Figure(row="start", name="density.count", subject=subject, unit="instances", samples=(float(peak),))
    times = (workload.created_seconds, workload.started_seconds, workload.ready_seconds)
    for phase, seconds in zip(PHASES, times, strict=True):
        yield Figure(row="start", name=f"density.{phase}", subject=subject, unit="seconds", samples=tuple(seconds))


def _capacity(fit: Fit, subject: str) -> Iterator[Figure]:
    yield Figure(
        row="capacity", name="count", subject=subject, unit="instances", samples=(fit.count,),
        low=fit.low, high=fit.high, words=fit.words,
    )  # fmt: skip
    yield Figure(row="capacity", name="verdict", subject=subject, words=fit.first)


def _overhead(memory: Mapping[str, Cost], workload: Workload, subject: str) -> Iterator[Figure]:
    touched = (float(workload.touch_bytes),)
    yield Figure(row="overhead", name="touched", subject=subject, unit="bytes", samples=touched)
    for name, cost in memory.items():
        if cost.known:
            yield Figure(
                row="overhead", name=name, subject=subject, unit="bytes", samples=(cost.value,),
                low=cost.low, high=cost.high,
            )  # fmt: skip
        else:
            yield Figure(row="overhead", name=name, subject=subject, why=NO_PROOF)


def _kernels(workload: WorkloadState, subject: str) -> Figure:
    if not workload.kernels:
        null = workload.workload.guest == "null"
        why = "it has no kernel to report" if null else "the payload, which reports it, does not run in it"
        return Figure(row="kernels", name="release", subject=subject, why=why)
    return Figure(row="kernels", name="release", subject=subject, words=", ".join(workload.kernels))
