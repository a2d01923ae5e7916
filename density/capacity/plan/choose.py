"""Whole hosts chosen among patterns, by HiGHS: the cheapest that hold the demand, whichever few of them are lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement, pairwise

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from density.capacity.plan.patterns import Bin, Counts
from density.capacity.plan.relaxed import Pool
from density.capacity.plan.spread import Group, trimmed

Loss = tuple[int, ...]
"""How many hosts of each bin are lost."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Hosts of each bin, and how the demand is arranged on those that stay after each loss."""

    hosts: tuple[int, ...]
    after_loss: dict[Loss, tuple[Group, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        choice: None: no patterns of the pool do it, or none were found in time.
        exact: whether that is the best there is, or sure, with these patterns.
    """

    choice: Choice | None
    exact: bool


def losses(bins: int, spare: int) -> list[Loss]:
    """Every way to lose so many hosts."""
    ways = combinations_with_replacement(range(bins), spare)
    return [tuple(way.count(index) for index in range(bins)) for way in ways]


def choose(pool: Pool, demand: Counts, *, spare: int, quantum: Fraction, seconds: float) -> Answer:
    """Choose whole hosts.

    A host that is lost was there: with `n` hosts of a bin, a loss of `d` takes `min(d, n)`, which the whole numbers
    `there` (1 where there is a first, second, ... host) say in linear terms.

    Args:
        pool: the patterns to choose from.
        demand: instances of each workload.
        spare: the demand fits after any loss of so many hosts.
        quantum: prices are whole multiples of it.
        seconds: after so long the best so far is taken.
    """
    model = _Model(pool, demand, losses(len(pool.bins), spare), spare)
    found = milp(
        model.costs(quantum),
        integrality=np.ones(model.size, dtype=np.int64),
        bounds=Bounds(0, model.upper()),
        constraints=model.constraints(),
        options={"time_limit": max(0.5, seconds), "mip_rel_gap": 0.0},
    )
    if found.x is None:
        return Answer(None, found.status == 2)
    choice = model.choice(np.rint(found.x).astype(np.int64))
    return Answer(choice, found.status == 0 and choice is not None)


class _Model:
    """Columns: hosts of each bin, `there` of each bin and place, then uses of each pattern after each loss."""

    def __init__(self, pool: Pool, demand: Counts, ways: Sequence[Loss], spare: int) -> None:
        self.pool, self.demand, self.ways, self.spare = pool, demand, ways, spare
        self.columns = pool.columns
        self.bins = len(pool.bins)
        self.first_use = self.bins * (1 + spare)
        self.size = self.first_use + len(ways) * len(self.columns)

    def costs(self, quantum: Fraction) -> np.ndarray:
        """Prices in quanta; of two choices that cost the same, the one with fewer hosts."""
        costs = np.zeros(self.size)
        tie = 1 / (10.0 * sum(self.upper()[: self.bins]))
        for index, each in enumerate(self.pool.bins):
            costs[index] = float(each.price / quantum) + tie
        return costs

    def upper(self) -> np.ndarray:
        """Never more hosts of a bin than hold everything it can hold, each workload on hosts of its own."""
        hosts = [_enough(each, self.demand) + self.spare for each in self.pool.bins]
        uses = [hosts[index] for index, _ in self.columns] * len(self.ways)
        return np.array([*hosts, *[1] * (self.bins * self.spare), *uses], dtype=np.float64)

    def constraints(self) -> LinearConstraint:
        """All rows as `low <= row`."""
        rows, columns, values, low = [], [], [], []
        for row, (terms, least) in enumerate(self._rows()):
            for column, value in terms:
                rows.append(row)
                columns.append(column)
                values.append(value)
            low.append(least)
        matrix = coo_array((values, (rows, columns)), shape=(len(low), self.size)).tocsr()
        return LinearConstraint(matrix, lb=np.array(low))

    def _rows(self) -> Iterator[tuple[list[tuple[int, float]], float]]:
        upper = self.upper()
        for index, each in enumerate(self.pool.bins):
            places = [self.bins + index * self.spare + place for place in range(self.spare)]
            if places:
                yield [(index, 1.0), *((place, -1.0) for place in places)], 0.0
                yield [(index, -1.0), *((place, 1.0) for place in places[:-1]), (places[-1], upper[index])], 0.0
                for before, after in pairwise(places):
                    yield [(before, 1.0), (after, -1.0)], 0.0
            if each.most is not None:
                yield [(index, -1.0)], -float(each.most)
        for number, way in enumerate(self.ways):
            start = self.first_use + number * len(self.columns)
            for index, lost in enumerate(way):
                uses = [(start + place, -1.0) for place, (bin_, _) in enumerate(self.columns) if bin_ == index]
                there = [(self.bins + index * self.spare + place, -1.0) for place in range(lost)]
                yield [(index, 1.0), *there, *uses], 0.0
            for workload, count in enumerate(self.demand):
                held = [(start + place, float(counts[workload])) for place, (_, counts) in enumerate(self.columns)]
                yield [term for term in held if term[1]], float(count)

    def choice(self, values: np.ndarray) -> Choice | None:
        """What the columns say; None where rounding them broke something."""
        hosts = tuple(int(count) for count in values[: self.bins])
        after: dict[Loss, tuple[Group, ...]] = {}
        for number, way in enumerate(self.ways):
            start = self.first_use + number * len(self.columns)
            uses = values[start : start + len(self.columns)]
            filled = [column for column, count in zip(self.columns, uses, strict=True) for _ in range(int(count))]
            groups = trimmed(filled, self.demand)
            stay = [max(0, count - lost) for count, lost in zip(hosts, way, strict=True)]
            if groups is None or any(_hosts_of(groups, index) > count for index, count in enumerate(stay)):
                return None
            after[way] = groups
        return Choice(hosts, after)


def _enough(each: Bin, demand: Counts) -> int:
    alone = [each.alone(workload) for workload in range(len(demand))]
    hosts = sum(-(-count // most) for count, most in zip(demand, alone, strict=True) if most)
    return hosts if each.most is None else min(hosts, each.most)


def _hosts_of(groups: Sequence[Group], index: int) -> int:
    return sum(group.hosts for group in groups if group.bin == index)
