"""What more fits on hosts that are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from density.capacity.plan.basis import Basis
from density.capacity.plan.choose import losses
from density.capacity.plan.filling import Fill, Filled, Groups, bins_of
from density.capacity.plan.limits import HostType
from density.capacity.plan.packing import Purchase
from density.capacity.plan.patterns import Bin, Counts
from density.capacity.plan.spread import spread

MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """How many more of one workload alone fit beside the demand, with the spare hosts still spare.

    Instances are spread evenly, so that a few more may fit where they are not.

    Attributes:
        best, least, most: at the best estimate of the footprints, and at the upper and lower ends of their intervals.
        full: the hosts with `best` more on them, after each loss; empty where none fits.
    """

    best: int
    least: int
    most: int
    full: Groups


def rooms(
    hosts: Sequence[HostType], basis: Basis, demand: Mapping[str, int], bought: Purchase, *, spare: int
) -> dict[str, Room]:
    """Of each workload in demand, on the hosts that are bought."""
    best, low, high = (bins_of(hosts, basis, demand, end) for end in ("best", "low", "high"))
    counts, found = tuple(demand.values()), {}
    for place, name in enumerate(demand):
        more, full = _more(best, bought.hosts, counts, place, spare)
        least, most = (_more(bins, bought.hosts, counts, place, spare)[0] for bins in (high, low))
        found[name] = Room(more, min(least, more), max(most, more), full)
    return found


def first_full(group: Filled, basis: Basis, name: str) -> Fill | None:
    """What ends the room for one workload on the fullest host of a type; None: nothing does."""
    taking = [(fill, basis.costs[name][fill.key].value) for fill in group.fills]
    left = [((fill.limit.base + fill.limit.room - fill.down) / cost, fill) for fill, cost in taking if cost]
    return min(left, key=lambda each: each[0])[1] if left else None


def _more(bins: Sequence[Bin], hosts: Sequence[int], demand: Counts, workload: int, spare: int) -> tuple[int, Groups]:
    """How many, and where they run then."""
    stay = [
        [count - lost for count, lost in zip(hosts, way, strict=True)]
        for way in losses(len(bins), spare)
        if all(lost <= count for count, lost in zip(hosts, way, strict=True))
    ]

    def fitted(more: int) -> Groups | None:
        wanted = tuple(count + more * (place == workload) for place, count in enumerate(demand))
        grown = [replace(each, demand=wanted) for each in bins]
        found: list[Groups] = []
        for left in stay:
            groups = spread(grown, left, wanted)
            if groups is None:
                return None
            found.append(groups)
        return tuple(group for groups in found for group in groups)

    fitting, failing, full = 0, 1, Groups()
    while failing < MOST and (groups := fitted(failing)):
        fitting, failing, full = failing, 2 * failing, groups
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        if groups := fitted(middle):
            fitting, full = middle, groups
        else:
            failing = middle
    return fitting, full
