"""The sentences of a plan that say how far it goes beyond what was measured."""

from collections.abc import Iterator

from density.capacity.plan.filling import Filled
from density.capacity.plan.plan import Plan
from density.capacity.plan.resources import CPU, MEMORY, Key, name_of, unit_of
from density.capacity.plan.room import first_full
from density.capacity.plan.stretch import Stretch
from density.profile.problems import listed
from density.report.plan.words import RELEVANT, amount, amount_of, times
from density.units import format_count

FEW = 10
"""Costs below it are written with fractions."""
NOUNS = {MEMORY: "memory", CPU: "CPUs"}


def beyond(plan: Plan) -> Iterator[str]:
    """Where the plan extrapolates, and by how much; and what was measured in another way than it will be."""
    several = len(plan.groups) > 1
    for each in plan.stretches:
        yield _stretch(plan, each, f" on {each.host}" if several else "")
    yield from _apart(plan)
    yield from _otherwise(plan)
    yield from _typical(plan)


def _stretch(plan: Plan, each: Stretch, where: str) -> str:
    factor = times(each.times)
    match each.kind:
        case "limit":
            planned = amount_of(each.planned, each.key) + (" of memory" if each.key == MEMORY else "")
            measured = amount_of(each.measured, each.key)
            return f"{planned} are {factor} the {NOUNS[each.key]} of the measured host ({measured}){where}"
        case "use":
            return (
                f"{name_of(each.key)} comes to {amount_of(each.planned, each.key)} on a host, {factor} the highest use "
                f"that was measured ({amount(each.measured, each.key)}){where}"
            )
        case "instances":
            return (
                f"{format_count(each.planned)} instances on a host are {factor} as many as ran at once "
                f"({format_count(each.measured)}){where}"
            )
        case "workload":
            return (
                f"{format_count(each.planned)} {each.workload} on a host are {factor} as many as ran at once "
                f"({format_count(each.measured)}){where}"
            )
        case "room":
            return (
                f"{_with_room(plan, each)}{format_count(each.planned)} of it on a host are {factor} as many as ran at "
                f"once ({format_count(each.measured)}){where}"
            )
        case "objective":
            return _objective(plan, each, where)


def _with_room(plan: Plan, each: Stretch) -> str:
    return f"with {format_count(plan.room[each.workload].best)} {each.workload} more, " if each.workload else ""


def _objective(plan: Plan, each: Stretch, where: str) -> str:
    missed = f"{listed(each.objectives, 'and')} {'was' if len(each.objectives) == 1 else 'were'} missed"
    planned = f"{format_count(each.planned)} on a host"
    if not each.measured:
        return f"no count kept every objective in run {each.run} ({missed}), so {planned} may not either{where}"
    return (
        f"no more than {format_count(each.measured)} kept every objective in run {each.run}, where {missed} beyond "
        f"that; {_with_room(plan, each)}{planned} are {times(each.times)} as many{where}, and whether they keep them "
        "was not measured"
    )


def _apart(plan: Plan) -> Iterator[str]:
    runs = plan.basis.runs
    if len(runs) > 1:
        names = [
            listed([name for name, run in plan.basis.sources.items() if run is each], "and") + f" ({each.run_id})"
            for each in runs
        ]
        yield f"{listed(names, 'and')} never ran together: each was measured in a run of its own"


def _otherwise(plan: Plan) -> Iterator[str]:
    for run in plan.basis.runs:
        if "simulated" in run.facts:
            yield f"run {run.run_id} was of a simulated host, so that nothing real is known"
        if run.unsure:
            yield f"run {run.run_id} came to rest only {run.points} times: too few for its intervals to mean anything"
    emulated = [name for name, run in plan.basis.sources.items() if run.accelerators.get(name) == "tcg"]
    if emulated:
        yield f"{listed(emulated, 'and')} ran emulated (tcg): with KVM they take less CPU, and other memory"


def _typical(plan: Plan) -> Iterator[str]:
    for key in dict.fromkeys(key for group in plan.groups for key in _deciding(plan, group)):
        costs = {name: plan.basis.costs[name][key] for name in plan.asked.demand}
        names = [
            f"{name} {_each(cost.low, key)} to {_each(cost.high, key)}"
            for name, cost in costs.items()
            if not cost.measured and cost.value
        ]
        if names:
            yield f"{name_of(key)} is planned by typical costs, as the run could not tell them: {listed(names, 'and')}"


def _deciding(plan: Plan, group: Filled) -> Iterator[Key]:
    """What takes much of its room or ends it for a workload; memory and CPUs in any case."""
    ending = {fill.key for name in plan.asked.demand if (fill := first_full(group, plan.basis, name))}
    for fill in group.fills:
        if fill.share >= RELEVANT or fill.key in {MEMORY, CPU} | ending:
            yield fill.key


def _each(value: float, key: Key) -> str:
    """Of one instance, which may take less than one of a resource."""
    return f"{value:.3g}" if value < FEW and unit_of(key) != "bytes" else amount(value, key)
