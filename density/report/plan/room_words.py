"""The sentences of a plan that say what more fits, and what to raise first."""

from collections.abc import Iterator

from density.capacity.plan.plan import Outcome, Plan
from density.capacity.plan.resources import fix_of, name_of
from density.capacity.plan.room import Room
from density.profile.problems import listed
from density.report.plan.words import binds, end_of, hosts_word
from density.units import format_count


def room(plan: Plan) -> str:
    """How many more of each workload fit."""
    more = [_more(name, each) for name, each in plan.room.items()]
    if not any(each.best for each in plan.room.values()):
        spare = ", if the spare is to stay one" if plan.asked.spare else ""
        most = [f"{format_count(each.most)} {name}" for name, each in plan.room.items() if each.most]
        low = f" ({listed(most, 'or')} would at the lower ends of the footprints' intervals)" if most else ""
        return f"nothing more fits beside the demand{spare}{low}"
    kept = ", with the spare still spare" if plan.asked.spare else ""
    return f"{listed(more, 'or')}{kept}"


def _more(name: str, room: Room) -> str:
    """With what it is at the ends of the footprints' intervals, where that is another number."""
    ends = f" ({format_count(room.least)} to {format_count(room.most)})" if room.least < room.most else ""
    return f"{format_count(room.best)} {name} more{ends}"


def raising(plan: Plan) -> Iterator[str]:
    """What to raise, one after the other, what that would save, and how it is done."""
    for index, step in enumerate(plan.raises):
        name, fix = name_of(step.fill.key), fix_of(step.fill.key)
        if step.rank >= plan.best.rank:
            yield f"{name}: {'with those above it, it saves nothing yet' if index else 'alone it saves no host'}; {fix}"
            continue
        outcome = Outcome(step.hosts, step.price)
        hosts = end_of(plan, outcome) if len(plan.asked.hosts) > 1 or plan.priced else hosts_word(outcome.total)
        then = f", and then {binds(step.then.key)}" if step.then else ""
        yield f"{name}: without it{' too' if index else ''} {hosts} would do{then}; {fix}"
