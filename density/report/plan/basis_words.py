"""The sentences of a plan that say how far it goes beyond what was measured, and what it takes for granted."""

from collections.abc import Iterator

from density.capacity.plan.filling import Filled
from density.capacity.plan.limits import MEASURED
from density.capacity.plan.plan import Plan
from density.capacity.plan.policy import busy_share
from density.capacity.plan.resources import CPU, MEMORY
from density.capacity.plan.stretch import Stretch
from density.profile.problems import listed
from density.report.plan.words import amount, amount_of, name_of
from density.units import format_count, format_value

RELEVANT = 0.1
"""Limits and costs of what takes less than this share of its room decide nothing."""
NOUNS = {MEMORY: "memory", CPU: "CPUs"}


def beyond(plan: Plan) -> Iterator[str]:
    """Where the plan extrapolates, and by how much; and what was measured in another way than it will be."""
    several = len(plan.groups) > 1
    for each in plan.stretches:
        yield _stretch(each, f" on {each.host}" if several else "")
    yield from _apart(plan)
    yield from _otherwise(plan)
    yield from _typical(plan)


def _stretch(each: Stretch, where: str) -> str:
    times = _times(each.times)
    match each.kind:
        case "limit":
            planned = amount_of(each.planned, each.key) + (" of memory" if each.key == MEMORY else "")
            measured = amount_of(each.measured, each.key)
            return f"{planned} are {times} the {NOUNS[each.key]} of the measured host ({measured}){where}"
        case "use":
            return (
                f"{name_of(each.key)} comes to {amount_of(each.planned, each.key)} on a host, {times} the highest use "
                f"that was measured ({amount(each.measured, each.key)}){where}"
            )
        case "instances":
            return (
                f"{format_count(each.planned)} instances on a host are {times} as many as ran at once "
                f"({format_count(each.measured)}){where}"
            )
        case "workload":
            return (
                f"{format_count(each.planned)} {each.workload} on a host are {times} as many as ran at once "
                f"({format_count(each.measured)}){where}"
            )
        case "objective":
            return _objective(each, where)


def _objective(each: Stretch, where: str) -> str:
    missed = f"{listed(each.objectives, 'and')} {'was' if len(each.objectives) == 1 else 'were'} missed"
    planned = f"{format_count(each.planned)} on a host"
    if not each.measured:
        return f"no count kept every objective in run {each.run} ({missed}), so {planned} may not either{where}"
    return (
        f"no more than {format_count(each.measured)} kept every objective in run {each.run}, where {missed} beyond "
        f"that; {planned} are {_times(each.times)} as many{where}, and whether they keep them was not measured"
    )


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio < 9.95 else f"{ratio:,.0f} times"


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
    found: dict[str, list[str]] = {}
    for group in plan.groups:
        for fill in group.fills:
            if fill.share < RELEVANT:
                continue
            for name in plan.asked.demand:
                cost = plan.basis.costs[name][fill.key]
                if not cost.measured and cost.value:
                    each = f"{name} {amount(cost.low, fill.key)} to {amount(cost.high, fill.key)}"
                    found.setdefault(name_of(fill.key), [])
                    if each not in found[name_of(fill.key)]:
                        found[name_of(fill.key)].append(each)
    for resource, names in found.items():
        yield f"{resource} is planned by typical costs, as the run could not tell them: {listed(names, 'and')}"


def rests_on(plan: Plan) -> Iterator[str]:
    """What the plan takes for granted."""
    for run in plan.basis.runs:
        yield _run(plan, run.run_id)
    yield from _by_own_memory(plan)
    yield from plan.basis.spared
    yield f"CPUs may be {busy_share(plan.basis, plan.asked.policy):.0%} busy"
    if plan.asked.hosts[0].name == MEASURED.name:
        yield "hosts are like the measured one"
    else:
        yield "each host itself uses, and keeps as reserve, what the measured one did"
    for group in plan.groups:
        if group.host.name != MEASURED.name:
            yield from _as_measured(group)
        if group.host.unknown:
            yield f"{listed(group.host.unknown, 'and')} of {group.host.name} cannot bind: no run measured it"
    yield from _overcommitted(plan)


def _by_own_memory(plan: Plan) -> Iterator[str]:
    names = [name for name in plan.asked.demand if (known := plan.basis.costs[name].get(MEMORY)) and known.own]
    if names:
        yield (
            f"memory of {listed(names, 'and')}: as charged to their own cgroups, and what engines typically take "
            "besides; the host's free memory was too restless to tell"
        )


def _run(plan: Plan, run_id: str) -> str:
    run = next(run for run in plan.basis.runs if run.run_id == run_id)
    names = listed([name for name, source in plan.basis.sources.items() if source is run], "and")
    cpus, memory = float(run.facts.get("cpus", 0)), float(run.facts.get("memory_bytes", 0))
    return f"footprints of {names}: run {run_id}, on {cpus:g} CPUs and {format_value(memory, 'bytes')}"


def _as_measured(group: Filled) -> Iterator[str]:
    kept = [fill for fill in group.fills if not fill.limit.given and fill.share >= RELEVANT]
    if kept:
        limits = [f"{name_of(fill.key)} {amount(fill.limit.limit, fill.key)}" for fill in kept]
        yield f"limits of {group.host.name} as on the measured host: {', '.join(limits)}"


def _overcommitted(plan: Plan) -> Iterator[str]:
    words = {"cpus": "CPUs", "memory": "memory"}
    over = [f"{_times(share)} the {words[what]}" for what, share in plan.overcommit.items() if share > 1]
    if over:
        yield f"instances are given {listed(over, 'and')} that the hosts have; --overcommit bounds it"
