"""Instances spread over hosts that are there, as evenly as they go."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from density.capacity.footprint import Array
from density.capacity.plan.patterns import Bin, Counts


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts of one bin that hold the same instances."""

    bin: int
    hosts: int
    counts: Counts


def spread(bins: Sequence[Bin], hosts: Sequence[int], demand: Counts) -> tuple[Group, ...] | None:
    """Every host about as full as the others; None where whole instances do not fit that way."""
    if not any(hosts):
        return None
    shares = _shares(bins, hosts, demand)
    if shares is None:
        return None
    per_bin = np.array([_whole(shares[:, workload], count) for workload, count in enumerate(demand)]).T
    groups = tuple(
        group for index, count in enumerate(hosts) if count for group in _dealt(index, count, per_bin[index])
    )
    return groups if all(bins[group.bin].fits(group.counts) for group in groups) else None


def grouped(hosts: Iterable[tuple[int, Counts]]) -> tuple[Group, ...]:
    """Hosts one by one, put together where they are alike; the fullest first."""
    found = Counter(hosts)
    return tuple(
        Group(index, count, counts)
        for (index, counts), count in sorted(found.items(), key=lambda item: (item[0][0], [-n for n in item[0][1]]))
    )


def trimmed(filled: Sequence[tuple[int, Counts]], demand: Counts) -> tuple[Group, ...] | None:
    """Hosts one by one without what is more than in demand, put together; None where something is missing."""
    held = np.array([counts for _, counts in filled], dtype=np.int64).reshape(-1, len(demand))
    more = held.sum(axis=0) - np.array(demand)
    if (more < 0).any():
        return None
    for place in reversed(range(len(held))):
        taken = np.minimum(held[place], more)
        held[place] -= taken
        more -= taken
    rows = zip(filled, held, strict=True)
    return grouped((index, tuple(int(count) for count in row)) for (index, _), row in rows if row.any())


def _shares(bins: Sequence[Bin], hosts: Sequence[int], demand: Counts) -> Array | None:
    """How much of each workload goes to each bin, in parts, so that the fullest bin is as empty as it can be."""
    used = [index for index, count in enumerate(hosts) if count]
    shares = np.zeros((len(bins), len(demand)))
    if len(used) == 1:
        shares[used[0]] = demand
        return shares
    workloads = len(demand)
    size = len(used) * workloads + 1
    rows = []
    for place, index in enumerate(used):
        for load in bins[index].tight:
            row = np.zeros(size)
            row[place * workloads : (place + 1) * workloads] = load / hosts[index]
            row[-1] = -1.0
            rows.append(row)
    whole = np.hstack((np.tile(np.eye(workloads), len(used)), np.zeros((workloads, 1))))
    most = [(0.0, None if bins[index].alone(workload) else 0.0) for index in used for workload in range(workloads)]
    found = linprog(
        np.concatenate((np.zeros(size - 1), [1.0])),
        A_ub=np.array(rows) if rows else None,
        b_ub=np.zeros(len(rows)) if rows else None,
        A_eq=whole,
        b_eq=np.array(demand, dtype=np.float64),
        bounds=[*most, (0.0, None)],
        method="highs",
    )
    if found.x is None:
        return None
    shares[used] = np.asarray(found.x[:-1]).reshape(len(used), workloads)
    return shares


def _whole(shares: Array, count: int) -> list[int]:
    """Whole numbers near the shares that add up to the count: the largest remainders are rounded up."""
    floors = np.floor(shares + 1e-9)
    left = count - int(floors.sum())
    order = np.argsort(-(shares - floors), kind="stable")
    for index in order[: max(0, left)]:
        floors[index] += 1
    return [int(floor) for floor in floors]


def _dealt(index: int, hosts: int, totals: Sequence[int]) -> tuple[Group, ...]:
    """Dealt like cards: where one workload's last instances end, the next one's begin."""
    floors = [int(total) // hosts for total in totals]
    extra = np.zeros((hosts, len(totals)), dtype=np.int64)
    start = 0
    for workload, total in enumerate(totals):
        left = int(total) % hosts
        extra[(start + np.arange(left)) % hosts, workload] = 1
        start = (start + left) % hosts
    return grouped((index, tuple(floor + int(more) for floor, more in zip(floors, row, strict=True))) for row in extra)
