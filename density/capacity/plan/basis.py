"""What a plan rests on: each workload's costs, from the run that knows it best, and the host that was measured."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from density.capacity.plan.measured import Measured, Use, typical
from density.capacity.plan.resources import CPU, GIVEN_CPUS, GIVEN_MEMORY, INSTANCES, Cost, Key, cost
from density.errors import UsageError
from density.model import Workload
from density.profile.problems import listed


@dataclass(frozen=True, slots=True)
class Basis:
    """What several runs say together.

    Attributes:
        sources: workload in demand -> the run whose costs are used.
        spared: runs that are not used, and why, in words.
        costs: workload -> resource -> what one instance takes.
        uses: resource -> the measured host's; of several runs the highest base and reserve, and the lowest limit.
        cpus, memory_bytes: of the smallest measured host.
    """

    sources: Mapping[str, Measured]
    spared: tuple[str, ...]
    costs: Mapping[str, Mapping[Key, Cost]]
    uses: Mapping[Key, Use]
    cpus: float
    memory_bytes: float

    @property
    def runs(self) -> tuple[Measured, ...]:
        """The runs that are used, each once."""
        return tuple({run.run_id: run for run in self.sources.values()}.values())


def basis(runs: Sequence[Measured], wanted: Collection[str]) -> Basis:
    """Put runs together.

    Args:
        runs: at least one; one given twice counts once.
        wanted: the workloads in demand.

    Raises:
        UsageError: a workload that no run measured, or that is another one in another run.
    """
    runs = list({run.run_id: run for run in runs}.values())
    _check(runs, wanted)
    spared: list[str] = []
    sources: dict[str, Measured] = {}
    for name in wanted:
        having = sorted((run for run in runs if run.peaks.get(name)), key=lambda run: -run.peaks[name])
        _alike(name, having)
        sources[name] = having[0]
        spared += [_less(name, having[0], other) for other in having[1:]]
    used = list({run.run_id: run for run in sources.values()}.values())
    spared += [
        f"run {run.run_id} is not used: it has nothing that is in demand" for run in runs if not _has(run, wanted)
    ]
    cpus = min(float(run.facts.get("cpus", 0)) for run in used)
    uses = {CPU: Use(0.0, 0.0, cpus, 0.0), **dict(_uses(used))}
    return Basis(
        sources,
        tuple(spared),
        {name: _costs(run.workloads[name], run, uses) for name, run in sources.items()},
        uses,
        cpus,
        min(float(run.facts.get("memory_bytes", 0)) for run in used),
    )


def _check(runs: Sequence[Measured], wanted: Collection[str]) -> None:
    known = list(dict.fromkeys(name for run in runs for name, peak in run.peaks.items() if peak))
    for name in wanted:
        if name not in known:
            tried = next((run.run_id for run in runs if name in run.workloads), "")
            if tried:
                raise UsageError(f"demand: {name} was never ready in run {tried}, so nothing is known of it")
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"measured are {listed(known, 'and') or 'none'}"
            raise UsageError(f"demand: no workload {name!r} was measured; {hint}")


def _has(run: Measured, wanted: Collection[str]) -> bool:
    return any(run.peaks.get(name) for name in wanted)


def _less(name: str, used: Measured, other: Measured) -> str:
    return (
        f"{name} as in run {used.run_id}, where {used.peaks[name]} were ready at once, "
        f"not as in run {other.run_id} ({other.peaks[name]})"
    )


def _alike(name: str, runs: Sequence[Measured]) -> None:
    """One name has to mean one thing; shares, and how long to wait, change nothing of what an instance costs."""
    first = _plain(runs[0].workloads[name])
    for other in runs[1:]:
        theirs = _plain(other.workloads[name])
        differ = [field for field in first.__slots__ if getattr(first, field) != getattr(theirs, field)]
        if differ:
            raise UsageError(
                f"{name} is not the same in runs {runs[0].run_id} and {other.run_id}: "
                f"{listed(differ, 'and')} differ; plan with one of them"
            )


def _plain(workload: Workload) -> Workload:
    return replace(workload, share=1.0, ready_timeout_seconds=0.0)


def _uses(runs: Sequence[Measured]) -> Iterator[tuple[Key, Use]]:
    for key in dict.fromkeys(key for run in runs for key in run.uses):
        found = [run.uses[key] for run in runs if key in run.uses]
        yield (
            key,
            Use(
                max(use.base for use in found),
                max(use.highest for use in found),
                min(use.limit for use in found),
                max(use.reserve for use in found),
            ),
        )


def _costs(workload: Workload, run: Measured, uses: Mapping[Key, Use]) -> dict[Key, Cost]:
    """Also of what only another run has read, which is then typical, and of what only a plan counts."""
    known = run.costs[workload.name]
    found = {key: known.get(key) or cost(None, workload.name, typical(workload, key, run.facts)) for key in uses}
    memory, cpus = float(workload.memory_bytes), workload.cpus
    return {
        **found,
        INSTANCES: Cost(1.0, 1.0, 1.0),
        GIVEN_MEMORY: Cost(memory, memory, memory),
        GIVEN_CPUS: Cost(cpus, cpus, cpus),
    }
