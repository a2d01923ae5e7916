"""The sentences of a plan that say what it takes for granted."""

from collections.abc import Iterator

from density.capacity.plan.filling import Filled
from density.capacity.plan.limits import MEASURED
from density.capacity.plan.measured import Measured
from density.capacity.plan.plan import Plan
from density.capacity.plan.policy import busy_share
from density.capacity.plan.resources import MEMORY, name_of
from density.profile.problems import listed
from density.report.plan.words import RELEVANT, amount, times
from density.units import format_count, format_value


def rests_on(plan: Plan) -> Iterator[str]:
    """What the plan takes for granted."""
    for run in plan.basis.runs:
        yield _run(plan, run)
        if not run.over:
            waves = f"{format_count(run.points)} wave{'' if run.points == 1 else 's'}"
            yield f"run {run.run_id} has no end: it was cut off or still goes on, so far {waves} of it came to rest"
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
            it = "it" if len(group.host.unknown) == 1 else "them"
            yield f"{listed(group.host.unknown, 'and')} of {group.host.name} cannot bind: no run measured {it}"
    yield from _overcommitted(plan)


def _by_own_memory(plan: Plan) -> Iterator[str]:
    names = [name for name in plan.asked.demand if (known := plan.basis.costs[name].get(MEMORY)) and known.own]
    if names:
        yield (
            f"memory of {listed(names, 'and')}: as charged to their own cgroups, and what engines typically take "
            "besides; the host's free memory was too restless to tell"
        )


def _run(plan: Plan, run: Measured) -> str:
    names = listed([name for name, source in plan.basis.sources.items() if source is run], "and")
    cpus, memory = float(run.facts.get("cpus", 0)), float(run.facts.get("memory_bytes", 0))
    return f"footprints of {names}: run {run.run_id}, on {cpus:g} CPUs and {format_value(memory, 'bytes')}"


def _as_measured(group: Filled) -> Iterator[str]:
    kept = [fill for fill in group.fills if not fill.limit.given and fill.share >= RELEVANT]
    if kept:
        limits = [f"{name_of(fill.key)} {amount(fill.limit.limit, fill.key)}" for fill in kept]
        yield f"limits of {group.host.name} as on the measured host: {', '.join(limits)}"


def _overcommitted(plan: Plan) -> Iterator[str]:
    words = {"cpus": "CPUs", "memory": "memory"}
    over = [f"{times(share)} the {words[what]}" for what, share in plan.overcommit.items() if share > 1]
    if over:
        yield f"instances are given {listed(over, 'and')} that the hosts have; --overcommit bounds it"
