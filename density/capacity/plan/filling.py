"""How full hosts get: what runs on each, what every resource comes to, and what binds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from density.capacity.footprint import Array
from density.capacity.plan.basis import Basis
from density.capacity.plan.choose import Loss
from density.capacity.plan.limits import HostType, Limit, loads
from density.capacity.plan.packing import Purchase
from density.capacity.plan.patterns import Bin, Counts
from density.capacity.plan.resources import End, Key
from density.capacity.plan.spread import Group, spread

Groups = tuple[Group, ...]
TIGHT = 0.5
"""A host whose fullest resource has more room than this left is bound by none."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One resource on the fullest host of a type.

    Attributes:
        up, down: use, the host's own included: with all hosts up, and after the worst loss of the spare ones.
    """

    key: Key
    limit: Limit
    up: float
    down: float

    @property
    def share(self) -> float:
        """The part of the room that instances take after the loss; 1: nothing more fits."""
        return (self.down - self.limit.base) / self.limit.room if self.limit.room > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Filled:
    """The hosts of one type.

    Attributes:
        up: the arrangement with all hosts up; hosts that are in none stay empty.
        down: those after each loss that a spare host is there for, as far as they are of this type.
        fills: every resource that instances take, the fullest first.
    """

    host: HostType
    hosts: int
    up: Groups
    down: Groups
    fills: tuple[Fill, ...]

    @property
    def binds(self) -> Fill | None:
        """What is full first; None where half of everything is free."""
        first = self.fills[0] if self.fills else None
        return first if first and first.share > TIGHT else None

    def most(self, workload: int) -> int:
        """The most instances of a workload on one host, after the worst loss."""
        return max((group.counts[workload] for group in self.down), default=0)

    @property
    def most_together(self) -> int:
        """The most instances on one host, after the worst loss."""
        return max((sum(group.counts) for group in self.down), default=0)


def bins_of(hosts: Sequence[HostType], basis: Basis, demand: Mapping[str, int], end: End) -> list[Bin]:
    """The host types as packing sees them; without prices each costs 1."""
    counts = tuple(demand.values())
    return [
        Bin(loads(host, basis, list(demand), end), counts, Fraction(1) if host.price is None else host.price, host.most)
        for host in hosts
    ]


def filled(hosts: Sequence[HostType], basis: Basis, demand: Mapping[str, int], bought: Purchase) -> tuple[Filled, ...]:
    """The host types that are bought, each with what runs on it."""
    names = list(demand)
    bins = bins_of(hosts, basis, demand, "best")
    after = [_after(bins, bought, way, tuple(demand.values())) for way in bought.losses]
    up = spread(bins, bought.hosts, tuple(demand.values())) or after[0]
    found = []
    for index, (host, count) in enumerate(zip(hosts, bought.hosts, strict=True)):
        mine, down = _of(index, up), tuple(dict.fromkeys(group for groups in after for group in _of(index, groups)))
        fills = sorted(_fills(host, basis, names, mine, down), key=lambda fill: -fill.share)
        found.append(Filled(host, count, mine, down, tuple(fills)))
    return tuple(each for each in found if each.hosts)


def _after(bins: Sequence[Bin], bought: Purchase, way: Loss, demand: Counts) -> Groups:
    """What runs where after a loss: as evenly as it goes, else as the search for hosts arranged it."""
    stay = [count - lost for count, lost in zip(bought.hosts, way, strict=True)]
    return spread(bins, stay, demand) or bought.after_loss[way]


def _of(index: int, groups: Groups) -> Groups:
    return tuple(group for group in groups if group.bin == index)


def _fills(host: HostType, basis: Basis, names: Sequence[str], up: Groups, down: Sequence[Group]) -> Iterator[Fill]:
    for key, limit in host.limits.items():
        costs = np.array([basis.costs[name][key].value for name in names])
        if np.isfinite(limit.limit) and costs.any():
            yield Fill(key, limit, limit.base + _highest(costs, up), limit.base + _highest(costs, down))


def _highest(costs: Array, groups: Sequence[Group]) -> float:
    return max((float(costs @ np.array(group.counts)) for group in groups), default=0.0)
