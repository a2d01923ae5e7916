"""What to raise first so that fewer hosts would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from density.capacity.plan.basis import Basis
from density.capacity.plan.filling import Fill, Filled, bins_of, filled
from density.capacity.plan.limits import HostType
from density.capacity.plan.packing import DoesNotFit, Purchase, cheapest

Rank = tuple[Fraction, int]
"""Price and number of hosts: of two choices that cost the same, fewer hosts are better."""
STEPS = 3


@dataclass(frozen=True, slots=True)
class Raise:
    """What a ceiling costs.

    Attributes:
        fill: the resource that binds on most hosts, as it stands there.
        host: the type of those hosts.
        hosts, price: what the demand would need, were this resource and those before it without a limit.
        then: what would bind then; None: nothing near.
    """

    fill: Fill
    host: HostType
    hosts: tuple[int, ...]
    price: Fraction
    then: Fill | None

    @property
    def rank(self) -> Rank:
        """What it comes to, to compare."""
        return self.price, sum(self.hosts)


def raises(
    hosts: Sequence[HostType], basis: Basis, demand: Mapping[str, int], bought: Purchase, *, spare: int, seconds: float
) -> tuple[Raise, ...]:
    """One resource after the other without a limit, that which binds on most hosts first, as long as that helps."""
    steps: list[Raise] = []
    ranks: list[Rank] = [(bought.price, sum(bought.hosts))]
    while len(steps) < STEPS and sum(bought.hosts) > 1 + spare:
        widest = _widest(filled(hosts, basis, demand, bought))
        if widest.binds is None:
            break
        hosts = [host.without(widest.binds.key) for host in hosts]
        try:
            bins = bins_of(hosts, basis, demand, "best")
            bought = cheapest(bins, tuple(demand.values()), spare=spare, seconds=seconds)
        except DoesNotFit:
            break
        then = _widest(filled(hosts, basis, demand, bought)).binds
        steps.append(Raise(widest.binds, widest.host, bought.hosts, bought.price, then))
        ranks.append(steps[-1].rank)
    helping = [place for place in range(len(steps)) if ranks[place + 1] < ranks[place]]
    # The first one is told even where it saves nothing: people ask what binds, and whether raising it helps.
    return tuple(steps[: max(helping, default=0) + 1])


def _widest(groups: Sequence[Filled]) -> Filled:
    """The type of which there are most among those that something binds."""
    return max(groups, key=lambda group: group.hosts * bool(group.binds))
