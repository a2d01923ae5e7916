"""A plan: the hosts that a demand needs, at the best estimate of the footprints and at both ends of their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from density.capacity.plan.basis import Basis
from density.capacity.plan.filling import Filled, bins_of, filled
from density.capacity.plan.headroom import Raise, Rank, raises
from density.capacity.plan.limits import HostType
from density.capacity.plan.misfit import NoHostFits, misfit
from density.capacity.plan.packing import DoesNotFit, Purchase, cheapest
from density.capacity.plan.policy import Policy
from density.capacity.plan.resources import GIVEN_CPUS, GIVEN_MEMORY, End
from density.capacity.plan.room import Room, rooms
from density.capacity.plan.stretch import Stretch, of_room, stretches

ASIDE = 0.3
"""The share of the time that each search beside the main one gets."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for.

    Attributes:
        demand: workload -> instances.
        hosts: the types on offer.
        spare: the demand fits after the loss of any so many hosts.
        seconds: for the search for hosts; the other searches, for the interval and for what to raise, get parts of it.
    """

    demand: Mapping[str, int]
    hosts: tuple[HostType, ...]
    policy: Policy
    spare: int = 0
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one end of the footprints comes to.

    Attributes:
        hosts: of each type, in the order in which they were asked for; empty where it does not fit.
        price: of all; with hosts without prices, their number.
        gap: how much cheaper another choice might be at most, as a share.
        problem: why it does not fit.
    """

    hosts: tuple[int, ...] = ()
    price: Fraction = Fraction(0)
    gap: float = 0.0
    problem: str = ""

    @property
    def total(self) -> int:
        """Hosts of all types."""
        return sum(self.hosts)

    @property
    def rank(self) -> Rank:
        """To compare."""
        return self.price, self.total


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it.

    Attributes:
        best, low, high: hosts at the best estimate, and at the lower and upper ends of all footprints together.
        groups: the host types that are bought.
        room: how many more of each workload alone fit, with the spare hosts still spare.
        raises: what to raise first, and what for.
        overcommit: how many times the CPUs and the memory of all hosts instances are given; 0: they have no limit.
    """

    asked: Asked
    basis: Basis
    best: Outcome
    low: Outcome
    high: Outcome
    groups: tuple[Filled, ...]
    room: Mapping[str, Room]
    raises: tuple[Raise, ...]
    stretches: tuple[Stretch, ...]
    overcommit: Mapping[str, float]

    @property
    def priced(self) -> bool:
        """Whether hosts have prices."""
        return any(host.price is not None for host in self.asked.hosts)


def plan(asked: Asked, basis: Basis) -> Plan:
    """Find the hosts.

    Raises:
        NoHostFits: nothing on offer holds the demand at the best estimate.
    """
    demand, hosts = asked.demand, asked.hosts
    bought = _buy(asked, basis, "best", asked.seconds)
    groups = filled(hosts, basis, demand, bought)
    room = rooms(hosts, basis, demand, bought, spare=asked.spare)
    return Plan(
        asked=asked,
        basis=basis,
        best=_outcome(bought),
        low=_at(asked, basis, "low"),
        high=_at(asked, basis, "high"),
        groups=groups,
        room=room,
        raises=raises(hosts, basis, demand, bought, spare=asked.spare, seconds=asked.seconds * ASIDE),
        stretches=(*stretches(groups, basis, demand), *of_room(room, groups, hosts, basis)),
        overcommit=_overcommit(basis, demand, groups),
    )


def _buy(asked: Asked, basis: Basis, end: End, seconds: float) -> Purchase:
    bins = bins_of(asked.hosts, basis, asked.demand, end)
    try:
        return cheapest(bins, tuple(asked.demand.values()), spare=asked.spare, seconds=seconds)
    except DoesNotFit as error:
        raise misfit(asked.hosts, basis, asked.demand, end, spare=asked.spare, proved=error.proved) from error


def _at(asked: Asked, basis: Basis, end: End) -> Outcome:
    try:
        return _outcome(_buy(asked, basis, end, asked.seconds * ASIDE))
    except NoHostFits as error:
        return Outcome(problem=str(error))


def _outcome(bought: Purchase) -> Outcome:
    return Outcome(bought.hosts, bought.price, bought.gap)


def _overcommit(basis: Basis, demand: Mapping[str, int], groups: Sequence[Filled]) -> dict[str, float]:
    have = {
        GIVEN_CPUS: sum(group.hosts * group.host.cpus for group in groups),
        GIVEN_MEMORY: sum(group.hosts * group.host.memory_bytes for group in groups),
    }
    given = {key: sum(count * basis.costs[name][key].value for name, count in demand.items()) for key in have}
    return {key[0].partition(".")[2]: given[key] / have[key] for key in have if have[key]}
