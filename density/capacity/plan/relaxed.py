"""The patterns that matter, and how cheap hosts could be at best: column generation (Gilmore and Gomory, 1961)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from density.capacity.footprint import Array
from density.capacity.plan.patterns import Bin, Counts

MISSING = 1e5
"""What an instance without a host costs while patterns are still few, in prices of the dearest host."""
GAIN = 1e-9
"""A pattern that would make it cheaper by less is left out."""
MISSED = 1e-6
"""More instances than this without a host are no rounding error."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Patterns of some host types; `patterns` is in the order of `bins`."""

    bins: tuple[Bin, ...]
    patterns: tuple[list[Counts], ...] = field(default=())

    @classmethod
    def begun(cls, bins: Sequence[Bin], demand: Counts) -> "Pool":
        """With the patterns that every search needs: each workload first, filled up with the others."""
        pool = cls(tuple(bins), tuple([] for _ in bins))
        order = range(len(demand))
        for index, each in enumerate(bins):
            for first in order:
                pool.add(index, each.filled((0,) * len(demand), [first, *(other for other in order if other != first)]))
        return pool

    def add(self, index: int, counts: Counts) -> bool:
        """Whether this pattern of a bin was new."""
        if not any(counts) or counts in self.patterns[index]:
            return False
        self.patterns[index].append(counts)
        return True

    @property
    def columns(self) -> list[tuple[int, Counts]]:
        """Every pattern with its bin."""
        return [(index, counts) for index, found in enumerate(self.patterns) for counts in found]


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The cheapest hosts in parts.

    Attributes:
        bound: no whole hosts are cheaper than this.
        uses: bin, pattern, and how many hosts, in parts, are filled with it.
    """

    bound: float
    uses: tuple[tuple[int, Counts, float], ...]


def generate(pool: Pool, demand: Counts, *, deadline: float) -> Relaxed | None:
    """Add the patterns that matter, and say what the demand costs at least; None: there are not enough hosts.

    Args:
        pool: grows.
        demand: instances of each workload, each of which some bin can hold.
        deadline: by `time.monotonic`; past it the bound is one that is less sharp.
    """
    prices = np.array([float(each.price) for each in pool.bins])
    scale = float(prices.max()) or 1.0
    bound = 0.0
    while True:
        worth, rent, uses = _relaxed(pool, demand, prices / scale)
        dearer, grown = 1.0, False
        for index, each in enumerate(pool.bins):
            counts, most = each.best(worth)
            costs = float(prices[index] / scale + rent[index])
            dearer = max(dearer, most / costs if costs > 0 else np.inf if most > GAIN else 1.0)
            if float(worth @ counts) > costs + GAIN:
                grown = pool.add(index, counts) or grown
        rents = sum(float(rent[index]) * (each.most or 0) for index, each in enumerate(pool.bins))
        # Worth divided by `dearer` is a feasible solution of the dual (Farley, 1990), so it bounds whatever is unknown.
        bound = max(bound, float(worth @ demand) / dearer - rents)
        if not grown or time.monotonic() > deadline:
            held = np.sum([np.array(counts) * count for _, counts, count in uses], axis=0)
            missing = float(np.max(np.array(demand) - held))
            return None if missing > MISSED else Relaxed(bound * scale, uses)


def _relaxed(pool: Pool, demand: Counts, prices: Array) -> tuple[Array, Array, tuple[tuple[int, Counts, float], ...]]:
    """Hosts in parts: what one more instance of each workload costs, what a scarce host saves, and the hosts."""
    columns = pool.columns
    workloads = len(demand)
    scarce = [index for index, each in enumerate(pool.bins) if each.most is not None]
    held = np.array([counts for _, counts in columns], dtype=np.float64).reshape(-1, workloads).T
    limited = np.array([[float(index == bin_) for index, _ in columns] for bin_ in scarce]).reshape(-1, len(columns))
    found = linprog(
        np.concatenate((prices[[index for index, _ in columns]], np.full(workloads, MISSING))),
        A_ub=np.block([[-held, -np.eye(workloads)], [limited, np.zeros((len(scarce), workloads))]]),
        b_ub=np.concatenate((-np.array(demand, dtype=np.float64), [float(pool.bins[i].most or 0) for i in scarce])),
        method="highs",
    )
    assert found.x is not None, "instances without a host make it feasible"
    marginals = np.maximum(0.0, -np.asarray(found.ineqlin.marginals))
    rent = np.zeros(len(pool.bins))
    rent[scarce] = marginals[workloads:]
    uses = tuple((*column, float(count)) for column, count in zip(columns, found.x, strict=False) if count > 0)
    return marginals[:workloads], rent, uses


def least(bins: Sequence[Bin], demand: Counts) -> float | None:
    """What the demand costs at least if hosts and instances could be cut in parts; None: there are not enough hosts.

    Less sharp than `generate`, and found at once.
    """
    workloads, size = len(demand), len(bins) * (1 + len(demand))
    rows: list[Array] = []
    for index, each in enumerate(bins):
        for load in each.tight:
            row = np.zeros(size)
            row[index] = -1.0
            row[len(bins) + index * workloads : len(bins) + (index + 1) * workloads] = load
            rows.append(row)
    hosts = [(0.0, None if each.most is None else float(each.most)) for each in bins]
    held = [(0.0, float(count) if each.alone(place) else 0.0) for each in bins for place, count in enumerate(demand)]
    found = linprog(
        np.concatenate(([float(each.price) for each in bins], np.zeros(size - len(bins)))),
        A_ub=np.array(rows) if rows else None,
        b_ub=np.zeros(len(rows)) if rows else None,
        A_eq=np.hstack((np.zeros((workloads, len(bins))), np.tile(np.eye(workloads), len(bins)))),
        b_eq=np.array(demand, dtype=np.float64),
        bounds=[*hosts, *held],
        method="highs",
    )
    return None if found.fun is None else float(found.fun)
