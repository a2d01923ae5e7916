"""What more fits on hosts that are there, and what to raise first so that fewer would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from density.capacity.plan.basis import Basis
from density.capacity.plan.choose import losses
from density.capacity.plan.filling import Fill, Filled, bins_of, filled
from density.capacity.plan.limits import HostType
from density.capacity.plan.packing import DoesNotFit, Purchase, cheapest
from density.capacity.plan.patterns import Bin, Counts
from density.capacity.plan.spread import spread

STEPS = 3
MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Raise:
    """What a ceiling costs.

    Attributes:
        fill: the resource that binds on most hosts, as it stands there.
        host: the type of those hosts.
        hosts, price: what the demand would need, were this ceiling and those before it out of the way.
        then: what would bind then; None: nothing near.
    """

    fill: Fill
    host: HostType
    hosts: tuple[int, ...]
    price: Fraction
    then: Fill | None


def room_for(bins: Sequence[Bin], bought: Purchase, demand: Counts, *, spare: int) -> tuple[int, ...]:
    """How many more of each workload alone fit beside the demand, with the spare hosts still spare; at least.

    Instances are spread evenly, so that a few more may fit where they are not.
    """
    return tuple(_more(bins, bought.hosts, demand, workload, spare) for workload in range(len(demand)))


def _more(bins: Sequence[Bin], hosts: Sequence[int], demand: Counts, workload: int, spare: int) -> int:
    stay = [
        [count - lost for count, lost in zip(hosts, way, strict=True)]
        for way in losses(len(bins), spare)
        if all(lost <= count for count, lost in zip(hosts, way, strict=True))
    ]

    def fits(more: int) -> bool:
        wanted = tuple(count + more * (place == workload) for place, count in enumerate(demand))
        grown = [replace(each, demand=wanted) for each in bins]
        return all(spread(grown, left, wanted) is not None for left in stay)

    fitting, failing = 0, 1
    while failing < MOST and fits(failing):
        fitting, failing = failing, 2 * failing
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        if fits(middle):
            fitting = middle
        else:
            failing = middle
    return fitting


def raises(
    hosts: Sequence[HostType], basis: Basis, demand: Mapping[str, int], bought: Purchase, *, spare: int, seconds: float
) -> tuple[Raise, ...]:
    """One ceiling after the other out of the way, that which binds on most hosts first, as long as that helps."""
    steps: list[Raise] = []
    prices = [bought.price]
    while len(steps) < STEPS and sum(bought.hosts) > 1 + spare:
        widest = _widest(filled(hosts, basis, demand, bought))
        if widest.binds is None:
            break
        hosts = [host.without(widest.binds.key[0]) for host in hosts]
        try:
            bins = bins_of(hosts, basis, demand, "best")
            bought = cheapest(bins, tuple(demand.values()), spare=spare, seconds=seconds)
        except DoesNotFit:
            break
        then = _widest(filled(hosts, basis, demand, bought)).binds
        steps.append(Raise(widest.binds, widest.host, bought.hosts, bought.price, then))
        prices.append(bought.price)
    helping = [place for place in range(len(steps)) if prices[place + 1] < prices[place]]
    # The first one is told even where it saves nothing: people ask what binds, and whether raising it helps.
    return tuple(steps[: max(helping, default=0) + 1])


def _widest(groups: Sequence[Filled]) -> Filled:
    """The type of which there are most among those that something binds."""
    return max(groups, key=lambda group: group.hosts * bool(group.binds))
