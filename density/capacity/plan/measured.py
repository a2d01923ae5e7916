"""What one run says to a plan: costs, what the host itself used, limits, and how far it went."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from density.capacity.capacities import Capacity, capacities, most_that_ran, violated
from density.capacity.footprint import Line
from density.capacity.outlook import fit, fit_lines
from density.capacity.plan.resources import CPU, MEMORY, OF_THE_RUN, Cost, Key, cost, is_sure
from density.capacity.rested import Rested, rested
from density.capacity.split import split_memory
from density.capacity.typical import TYPICAL_SPREAD, typical_cost
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.model import Workload
from density.state import Point, RunState

_TESTER = "tester"


@dataclass(frozen=True, slots=True)
class Use:
    """A resource of the measured host.

    Attributes:
        base: use without any instance.
        highest: the highest use that was measured at rest.
        reserve: what is kept free below the limit.
    """

    base: float
    highest: float
    limit: float
    reserve: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run.

    Attributes:
        accelerators: of the workloads that are VMs: `kvm` or `tcg`.
        costs: workload -> resource -> what one instance takes.
        peaks: the most of each workload that were ready at once; `peak`: of all together.
        over: whether the run came to its end; else it was cut off, or still goes on.
        points: how many waves came to rest; with too few of them no interval is known.
        slo: the most that kept every objective, and `missed`: those that a larger count did not keep.
    """

    run_id: str
    facts: Mapping[str, str | float]
    workloads: Mapping[str, Workload]
    accelerators: Mapping[str, str]
    costs: Mapping[str, Mapping[Key, Cost]]
    uses: Mapping[Key, Use]
    bounds: Bounds
    peaks: Mapping[str, int]
    peak: int
    points: int
    slo: Capacity
    missed: tuple[str, ...]
    over: bool

    @property
    def unsure(self) -> bool:
        """Whether there were too few waves for the intervals to mean anything."""
        return self.points <= 1 + len(self.workloads)


def measure(state: RunState, bounds: Bounds) -> Measured:
    """What a run measured, from its state; `bounds` are its reserve and objectives."""
    workloads = [each.workload for each in state.workloads.values()]
    seen = _seen(state, bounds)
    lines: dict[Key, Line] = {key: found for key, found in fit_lines(state, workloads, bounds).items() if key in seen}
    cpu, cpu_use = _cpu(state, workloads)
    if cpu_use is not None:
        seen[CPU] = cpu_use
    if cpu is not None:
        lines[CPU] = cpu
    return Measured(
        run_id=state.run_id,
        facts=state.host_facts,
        workloads={each.name: each for each in workloads},
        accelerators={name: each.accelerator for name, each in state.workloads.items() if each.accelerator},
        costs=_costs(state, workloads, lines, seen),
        uses={key: _with_base(use, lines.get(key)) for key, use in seen.items()},
        bounds=bounds,
        peaks=_peaks(state),
        peak=sum(most_that_ran(state).values()),
        points=len(state.rests),
        slo=capacities(state, bounds).slo,
        missed=tuple(_missed(state, bounds)),
        over=state.outcome is not None,
    )


def _costs(
    state: RunState, workloads: Sequence[Workload], lines: Mapping[Key, Line], seen: Mapping[Key, Use]
) -> dict[str, dict[Key, Cost]]:
    own = split_memory(state, workloads).get("memory.instance")
    found: dict[str, dict[Key, Cost]] = {}
    for each in workloads:
        mine = {key: cost(lines.get(key), each.name, typical(each, key, state.host_facts)) for key in seen}
        if MEMORY in mine and not mine[MEMORY].measured and own is not None:
            mine[MEMORY] = _by_own_memory(each, own) or mine[MEMORY]
        found[each.name] = mine
    return found


def _by_own_memory(workload: Workload, own: Line) -> Cost | None:
    """What one more is charged by its own cgroup, and typical costs for what it takes besides; None if that is unsure.

    Other work on the host moves its free memory, and not that of a cgroup.
    """
    value, low, high = own.footprint()[workload.name]
    if not is_sure(value, high):
        return None
    besides = max(0.0, typical_cost(workload, *MEMORY) - typical_cost(workload, "memory.cgroup"))
    most, least = (besides * (1 + spread) for spread in (TYPICAL_SPREAD, -TYPICAL_SPREAD))
    return Cost(value + besides, max(0.0, low) + least, high + most, own=True)


def _peaks(state: RunState) -> dict[str, int]:
    """The most of each workload; where some were lost, at rest, as deaths are told late."""
    return {
        name: max((point.counts.get(name, 0) for point in state.settled), default=0) if each.lost else each.peak
        for name, each in state.workloads.items()
    }


def typical(workload: Workload, key: Key, facts: Mapping[str, str | float]) -> float:
    """What an instance usually takes: CPU as much as it is told to burn, the rest by experience."""
    if key == CPU:
        return workload.burn
    return typical_cost(workload, *key, cgroup_version=float(facts.get("cgroup_version", 2)))


def _with_base(use: Use, fitted: Line | None) -> Use:
    """With the line's base where there is one: it has less noise than the first reading."""
    if fitted is None:
        return use
    return Use(min(max(0.0, fitted.base), use.highest), use.highest, use.limit, use.reserve)


def _seen(state: RunState, bounds: Bounds) -> dict[Key, Use]:
    """Every hard ceiling that instances share with nothing of the run's own."""
    found: dict[Key, Use] = {}
    for samples in state.rests:
        for reading in _of_hosts(readings(samples[-1].values, bounds) if samples else ()):
            known = found.get(reading.key)
            base, highest = (known.base, known.highest) if known else (reading.used, reading.used)
            found[reading.key] = Use(base, max(highest, reading.used), reading.limit, reading.reserve)
    return dict(_each_disk_once(found))


def _of_hosts(found: Iterator[Reading] | Sequence[Reading]) -> Iterator[Reading]:
    for reading in found:
        if not BY_ID[reading.ceiling].soft and reading.key not in OF_THE_RUN and reading.subject != _TESTER:
            yield reading


def _each_disk_once(found: Mapping[Key, Use]) -> Iterator[tuple[Key, Use]]:
    """Several directories on one file system have one use and one limit."""
    disks: set[tuple[str, Use]] = set()
    for key, use in found.items():
        if key[0].startswith("disk."):
            if (key[0], use) in disks:
                continue
            disks.add((key[0], use))
        yield key, use


def _cpu(state: RunState, workloads: Sequence[Workload]) -> tuple[Line | None, Use | None]:
    """CPUs that instances and engines kept busy while they rested, as a line and a use."""
    rests = [rest for rest in state.rests if rest and "cpu.count" in rest[-1].values]
    found = [(rest[0].counts, use) for rest in rests if (use := _busy_cpus(rest)) is not None]
    if not found:
        return None, None
    values = [use for _, use in found]
    fitted = fit([counts for counts, _ in found], values, tuple(each.name for each in workloads))
    highest = max(value.use for value in values)
    return fitted, Use(max(0.0, min(value.use for value in values)), highest, rests[-1][-1].values["cpu.count"], 0.0)


def _busy_cpus(rest: Sequence[Point]) -> Rested | None:
    """From the CPU time of the run's slice and the daemons, which other work on the host does not blur.

    Without a slice, what the CPUs were busy with, but for density itself.
    """
    first, last = rest[0].values, rest[-1].values
    seconds = rest[-1].at - rest[0].at

    def spent(names: Iterable[str]) -> float:
        return sum(last.get(name, first[name]) - first[name] for name in names)

    names = [name for name in first if name == "slice.cpu_seconds" or _is_daemons(name)]
    if "slice.cpu_seconds" in names and seconds > 0:
        return Rested(max(0.0, spent(names)) / seconds, 0.0, 1.0, 0.0)
    if "cpu.busy_seconds" in first and seconds > 0:
        own = spent(["tester.cpu_seconds"]) if "tester.cpu_seconds" in first else 0.0
        return Rested(max(0.0, spent(["cpu.busy_seconds"]) - own) / seconds, 0.0, 1.0, 0.0)
    busy = [point for point in rest if "cpu.busy_ratio" in point.values]
    if not busy:
        return None
    use = np.array([point.values["cpu.busy_ratio"] * point.values["cpu.count"] for point in busy])
    return rested(np.array([point.at for point in busy]), use)


def _is_daemons(name: str) -> bool:
    return name.startswith("daemon.") and name.endswith(".cpu_seconds")


def _missed(state: RunState, bounds: Bounds) -> Iterator[str]:
    """The objectives that the smallest count that missed any did not keep."""
    missed = [point for point in state.settled if violated(point, bounds, state.outcome)]
    if missed:
        first = min(missed, key=lambda point: point.count)
        yield from dict.fromkeys(each.ceiling for each in violated(first, bounds, state.outcome))
