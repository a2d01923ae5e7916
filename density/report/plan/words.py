"""The sentences of a plan that say how many hosts, and how full they are."""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from density.capacity.plan.filling import Fill, Filled
from density.capacity.plan.limits import MEASURED
from density.capacity.plan.plan import Outcome, Plan
from density.capacity.plan.resources import GIVEN_CPUS, INSTANCES, Key, name_of, unit_of
from density.profile.problems import listed
from density.report.ceilings import UNLIMITED
from density.units import format_count, format_counted, format_value

_MILLIONS = 1e8
RELEVANT = 0.1
"""Limits and costs of what takes less than this share of its room decide nothing."""
PLURAL = (INSTANCES, GIVEN_CPUS)
"""Resources whose names are several things."""


def binds(key: Key) -> str:
    """`memory.available binds`, `instances bind`."""
    return f"{name_of(key)} {'bind' if key in PLURAL else 'binds'}"


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


def times(ratio: float) -> str:
    """`2.7 times`, `19 times`."""
    return f"{ratio:.2g} times" if ratio < 9.95 else f"{ratio:,.0f} times"


def hosts_word(count: int) -> str:
    """`1 host`, `7 hosts`."""
    return format_counted(count, "host", "hosts")


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
    low, high = (end_of(plan, outcome) for outcome in (plan.low, plan.high))
    if low == high:
        return f"{low} at both ends of the footprints' 95% intervals"
    return f"{high} at the upper ends of the footprints' 95% intervals, {low} at the lower ends"


def end_of(plan: Plan, outcome: Outcome) -> str:
    """Hosts, and their price where they have one; or why none fits."""
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
        return "nothing binds" + (f"; {_of_room(group.fills[0])}" if group.fills else "")
    whose = (
        "" if group.binds.limit.given or group.host.name == MEASURED.name else ", with the limit of the measured host"
    )
    return f"{binds(group.binds.key)}, at {group.binds.share:.0%} of {_its(group.binds.key)} room{whose}"


def _of_room(fill: Fill) -> str:
    verb = "come" if fill.key in PLURAL else "comes"
    return f"{name_of(fill.key)} {verb} to {fill.share:.0%} of {_its(fill.key)} room"


def _its(key: Key) -> str:
    return "their" if key in PLURAL else "its"


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
