"""The sentences of a plan that say how many hosts, how full they are, and what more fits."""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from density.capacity.plan.filling import Fill, Filled
from density.capacity.plan.limits import MEASURED
from density.capacity.plan.plan import Outcome, Plan
from density.capacity.plan.resources import Key, fix_of, unit_of
from density.profile.problems import listed
from density.report.ceilings import UNLIMITED, ceiling_name
from density.units import format_count, format_value

_MILLIONS = 1e8


def name_of(key: Key) -> str:
    """`files.process dockerd`; of what only a plan counts, in words."""
    match key[0]:
        case "given.memory":
            return "memory given"
        case "given.cpus":
            return "CPUs given"
        case _:
            # A subject is what an engine or a person called something.
            return "".join(letter if letter.isprintable() else " " for letter in ceiling_name(*key))


def amount(value: float, key: Key) -> str:
    """A use or limit in the resource's unit, short."""
    unit = unit_of(key)
    if value >= UNLIMITED:
        return "unlimited"
    if unit != "bytes" and value >= _MILLIONS:
        return f"{value / 1e6:,.0f}M"
    if unit in {"bytes", "CPUs"}:
        return format_value(value, unit)
    return format_count(value)


def amount_of(value: float, key: Key) -> str:
    """With the noun of what is counted: `32,768 tasks`, `24 GiB`."""
    unit = unit_of(key)
    return amount(value, key) if unit == "bytes" else f"{amount(value, key)} {unit}"


def hosts_word(count: int) -> str:
    """`1 host`, `7 hosts`."""
    return f"{format_count(count)} host{'' if count == 1 else 's'}"


def price(value: Fraction) -> str:
    """As people write it: `12,345`, `899.90`."""
    return f"{int(value):,}" if value.denominator == 1 else f"{float(value):,.2f}"


def wanted(demand: Mapping[str, int]) -> str:
    """`500 web and 40 db`."""
    return listed([f"{format_count(count)} {name}" for name, count in demand.items()], "and")


def title(plan: Plan) -> str:
    """The answer in one sentence."""
    verb = "needs" if sum(plan.asked.demand.values()) == 1 else "need"
    text = f"{wanted(plan.asked.demand)} {verb} {hosts_word(plan.best.total)}"
    if plan.asked.spare:
        text += f", {format_count(plan.asked.spare)} of them spare"
    return text + (f", for {price(plan.best.price)}" if plan.priced else "")


def bought(plan: Plan, outcome: Outcome) -> str:
    """`7 × big and 1 × small`."""
    hosts = zip(plan.asked.hosts, outcome.hosts, strict=True)
    return listed([f"{format_count(count)} × {host.name}" for host, count in hosts if count], "and")


def interval(plan: Plan) -> str:
    """What the ends of the footprints' intervals come to."""
    low, high = (_end(plan, outcome) for outcome in (plan.low, plan.high))
    if low == high:
        return f"{low} at both ends of the footprints' 95% intervals"
    return f"{high} at the upper ends of the footprints' 95% intervals, {low} at the lower ends"


def _end(plan: Plan, outcome: Outcome) -> str:
    if outcome.problem:
        return f"none that fits ({outcome.problem.splitlines()[0]})"
    text = bought(plan, outcome) if len(plan.asked.hosts) > 1 else format_count(outcome.total)
    return f"{text} for {price(outcome.price)}" if plan.priced else text


def proof(plan: Plan) -> str:
    """How good the choice is."""
    less = "cheaper" if plan.priced else "fewer"
    if not plan.best.gap:
        return f"no {less} hosts hold it: proved"
    return f"within {math.ceil(1000 * plan.best.gap) / 10:g}% of the {'cheapest' if plan.priced else 'fewest'} possible"


def type_of(group: Filled) -> str:
    """`7 × big`."""
    return f"{format_count(group.hosts)} × {group.host.name}"


def binding(group: Filled) -> str:
    """What is full first on hosts of a type."""
    if group.binds is None:
        share = (
            f"; {name_of(group.fills[0].key)} comes to {group.fills[0].share:.0%} of its room" if group.fills else ""
        )
        return f"nothing binds{share}"
    whose = (
        "" if group.binds.limit.given or group.host.name == MEASURED.name else ", with the limit of the measured host"
    )
    return f"{name_of(group.binds.key)} binds, at {group.binds.share:.0%} of its room{whose}"


def columns(plan: Plan) -> tuple[str, ...]:
    """Headings of the states in which hosts are shown."""
    spare = plan.asked.spare
    return ("all up", f"{format_count(spare)} lost") if spare else ("used",)


def counts(plan: Plan, group: Filled) -> Iterator[tuple[str, ...]]:
    """Each workload, and how many of it run on a host in each state."""
    for place, name in enumerate(plan.asked.demand):
        states = [group.up, group.down] if plan.asked.spare else [group.down]
        yield (name, *(_range([each.counts[place] for each in state]) for state in states))


def _range(found: list[int]) -> str:
    low, high = min(found, default=0), max(found, default=0)
    if low == high:
        return format_count(low)
    return f"{format_count(low)}{' or ' if high - low == 1 else ' to '}{format_count(high)}"


def uses(plan: Plan, fill: Fill) -> tuple[str, ...]:
    """A resource's use on the fullest host in each state, its limit, what is kept of it, and the share of the room."""
    states = (fill.up, fill.down) if plan.asked.spare else (fill.down,)
    kept = amount(fill.limit.reserve, fill.key) if fill.limit.reserve else "-"
    used = [amount(value, fill.key) for value in states]
    return (name_of(fill.key), *used, amount(fill.limit.limit, fill.key), kept, f"{fill.share:.0%}")


LEGEND = "of the room: of what the host's own use and the reserve leave to instances"


def room(plan: Plan) -> str:
    """How many more of each workload fit."""
    more = [f"{format_count(count)} {name}" for name, count in plan.room.items()]
    if not any(plan.room.values()):
        return "nothing more fits beside the demand" + (", if the spare is to stay one" if plan.asked.spare else "")
    kept = ", with the spare still spare" if plan.asked.spare else ""
    return f"at least {listed(more, 'or')} more{kept}"


def raising(plan: Plan) -> Iterator[str]:
    """What to raise, one after the other, what that would save, and how it is done."""
    for index, step in enumerate(plan.raises):
        name, fix = name_of(step.fill.key), fix_of(step.fill.key)
        if step.price >= plan.best.price:
            yield f"{name}: alone it saves no host; {fix}"
            continue
        outcome = Outcome(step.hosts, step.price)
        hosts = _end(plan, outcome) if len(plan.asked.hosts) > 1 or plan.priced else hosts_word(outcome.total)
        then = f", and then {name_of(step.then.key)} binds" if step.then else ""
        yield f"{name}: without it{' too' if index else ''} {hosts} would do{then}; {fix}"
