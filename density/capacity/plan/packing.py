"""The cheapest hosts that hold a demand, also once any few of them are lost.

Vector bin packing, by patterns. Column generation gives a bound from below and the patterns that matter; whole hosts
are what it says without the parts, and what HiGHS chooses for the rest. Small cases are proved: where all patterns can
be listed, HiGHS chooses among all of them.
"""

import math
import operator
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from density.capacity.plan.choose import Answer, Choice, Loss, choose, losses
from density.capacity.plan.patterns import Bin, Counts
from density.capacity.plan.relaxed import Pool, Relaxed, generate, least
from density.capacity.plan.spread import Group, spread
from density.capacity.plan.whole import price_of, rounded, thinned

ALL = 3000
"""Patterns of a host type that are looked at to list them all."""
LARGE = 4000
"""Whole numbers that HiGHS is asked for at most; with more it would not come back in time."""
NEAR = 0.01
"""What is within this share of the bound is good enough: footprints are not known any better."""
QUICK_SECONDS = 2.0
"""For the few hosts that rounding leaves to choose."""
ROUNDING = 1e-6


class DoesNotFit(Exception):
    """No hosts on offer hold the demand; `proved`: that is sure, else none were found in time."""

    def __init__(self, *, proved: bool) -> None:
        self.proved = proved
        super().__init__("the demand does not fit")


@dataclass(frozen=True, slots=True)
class Purchase:
    """The hosts to have.

    Attributes:
        hosts: how many of each bin, the spare ones among them.
        price: of all of them; with bins that cost 1 each, their number.
        bound: no choice of hosts is cheaper than this.
        after_loss: the bins of the hosts that are lost -> an arrangement on those that stay.
    """

    hosts: tuple[int, ...]
    price: Fraction
    bound: Fraction
    after_loss: Mapping[Loss, tuple[Group, ...]]

    @property
    def losses(self) -> tuple[Loss, ...]:
        """The losses that can come: of hosts that are there."""
        return tuple(way for way in self.after_loss if all(map(operator.le, way, self.hosts)))

    @property
    def gap(self) -> float:
        """How much cheaper another choice might be at most, as a share of the price; 0: none is, that is proved."""
        return max(0.0, float(1 - self.bound / self.price)) if self.price else 0.0


def cheapest(bins: Sequence[Bin], demand: Counts, *, spare: int = 0, seconds: float = 10.0) -> Purchase:
    """Choose hosts.

    Args:
        bins: the host types on offer.
        demand: instances of each workload, at least 1.
        spare: the demand still fits when any so many hosts are lost.
        seconds: after about this long the best choice so far is taken.

    Raises:
        DoesNotFit: nothing on offer holds it.
    """
    deadline = time.monotonic() + seconds
    if not all(any(each.alone(workload) for each in bins) for workload in range(len(demand))):
        raise DoesNotFit(proved=True)
    if len(bins) == 1:
        return _alike(bins[0], demand, spare, deadline)
    return _mixed(bins, demand, spare, deadline)


def _alike(each: Bin, demand: Counts, spare: int, deadline: float) -> Purchase:
    """Hosts of one type: as few as hold the demand, and the spare ones."""
    plain = [Bin(each.loads, each.demand)]
    pool = Pool.begun(plain, demand)
    relaxed = generate(pool, demand, deadline=deadline)
    assert relaxed is not None, "hosts that hold each workload are as many as it takes"
    fewest = math.ceil(relaxed.bound - ROUNDING)
    hosts, groups = fewest, spread(plain, [fewest], demand)
    if groups is None:
        found, bound = _whole(pool, relaxed, demand, 0, Fraction(fewest), deadline)
        if found is None:
            raise DoesNotFit(proved=False)
        fewest = int(bound)
        evenly = ((count, spread(plain, [count], demand)) for count in range(fewest, found.hosts[0] + 1))
        hosts, groups = next(
            ((count, even) for count, even in evenly if even is not None), (found.hosts[0], found.after_loss[(0,)])
        )
    if each.most is not None and hosts + spare > each.most:
        raise DoesNotFit(proved=fewest + spare > each.most)
    return Purchase((hosts + spare,), (hosts + spare) * each.price, (fewest + spare) * each.price, {(spare,): groups})


def _mixed(bins: Sequence[Bin], demand: Counts, spare: int, deadline: float) -> Purchase:
    """Hosts of several types."""
    pool = Pool.begun(bins, demand)
    relaxed = generate(pool, demand, deadline=deadline)
    bounds = list(_bounds(bins, demand, spare, relaxed.bound)) if relaxed else []
    if relaxed is None or not bounds:
        raise DoesNotFit(proved=True)
    found, bound = _whole(pool, relaxed, demand, spare, min(bounds), deadline)
    if found is None:
        raise DoesNotFit(proved=False)
    price = price_of(bins, found.hosts)
    return Purchase(found.hosts, price, min(bound, price), found.after_loss)


def _bounds(bins: Sequence[Bin], demand: Counts, spare: int, whole: float) -> Iterator[Fraction]:
    """What any choice costs at least, by the price of the dearest host that is in it.

    With spares, that host may be the one that is lost, and the others lost cost something too; what stays still holds
    the demand.

    Args:
        whole: what the demand costs at least with all bins.
    """
    prices = sorted({each.price for each in bins})
    for dearest in prices if spare else prices[-1:]:
        affordable = [each for each in bins if each.price <= dearest]
        parts = least(affordable, demand)
        if parts is not None:
            quantum = _quantum([each.price for each in affordable])
            stay = math.ceil(max(parts, whole) / float(quantum) - ROUNDING) * quantum
            yield stay + (dearest + (spare - 1) * prices[0] if spare else 0)


def _whole(
    pool: Pool, relaxed: Relaxed, demand: Counts, spare: int, bound: Fraction, deadline: float
) -> tuple[Choice | None, Fraction]:
    """The best choice found, and the bound, which is its price where that is proved.

    The search ends where nothing can be more than NEAR cheaper.
    """
    best: Choice | None = None
    for found in _found(pool, relaxed, demand, spare, deadline):
        if best is None or _rank(pool.bins, found) < _rank(pool.bins, best):
            best = found
        if price_of(pool.bins, best.hosts) * (1 - NEAR) <= bound:
            return best, bound
    exact = _exact(pool, demand, spare, deadline)
    if exact.exact:
        if exact.choice is None:
            raise DoesNotFit(proved=True)
        return exact.choice, price_of(pool.bins, exact.choice.hosts)
    return min(filter(None, (best, exact.choice)), key=lambda found: _rank(pool.bins, found), default=None), bound


def _found(pool: Pool, relaxed: Relaxed, demand: Counts, spare: int, deadline: float) -> Iterator[Choice]:
    """Choices, the quickly found first."""
    quantum = _quantum([each.price for each in pool.bins])
    left = deadline - time.monotonic()
    first = rounded(pool, relaxed, demand, quantum=quantum, seconds=min(left, QUICK_SECONDS))
    if first and (better := thinned(pool.bins, first, demand, spare, deadline=deadline)):
        yield better
    if spare:
        yield from _of_one_type(pool.bins, demand, spare, deadline)
    if (answer := _ask(pool, demand, spare, deadline)).choice:
        yield answer.choice


def _exact(pool: Pool, demand: Counts, spare: int, deadline: float) -> Answer:
    """Chosen among all patterns there are; no answer where those are too many."""
    every: list[list[Counts]] = []
    for each in pool.bins:
        found = each.maximal(most=ALL)
        if found is None:
            return Answer(None, exact=False)
        every.append([counts for counts in found if any(counts)])
    return _ask(Pool(pool.bins, tuple(every)), demand, spare, deadline)


def _ask(pool: Pool, demand: Counts, spare: int, deadline: float) -> Answer:
    if len(pool.columns) * len(losses(len(pool.bins), spare)) > LARGE:
        return Answer(None, exact=False)
    quantum = _quantum([each.price for each in pool.bins])
    return choose(pool, demand, spare=spare, quantum=quantum, seconds=deadline - time.monotonic())


def _of_one_type(bins: Sequence[Bin], demand: Counts, spare: int, deadline: float) -> Iterator[Choice]:
    """The choices that buy one type alone."""
    for index, each in enumerate(bins):
        if all(each.alone(workload) for workload in range(len(demand))):
            try:
                found = _alike(each, demand, spare, deadline)
            except DoesNotFit:
                continue
            (groups,) = found.after_loss.values()
            placed = tuple(replace(group, bin=index) for group in groups)
            hosts = tuple(found.hosts[0] * (place == index) for place in range(len(bins)))
            yield Choice(hosts, {tuple(spare * (place == index) for place in range(len(bins))): placed})


def _rank(bins: Sequence[Bin], choice: Choice) -> tuple[Fraction, int]:
    return price_of(bins, choice.hosts), sum(choice.hosts)


def _quantum(prices: Sequence[Fraction]) -> Fraction:
    """The largest amount that all prices are whole multiples of; 1 where all are free."""
    together = math.lcm(*(price.denominator for price in prices))
    return Fraction(math.gcd(*(int(price * together) for price in prices)), together) or Fraction(1)
