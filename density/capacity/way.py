"""The way ahead: how many of each workload are alive at which total, as a ramp launches them; pure."""

import math
from collections.abc import Sequence

import numpy as np

from density.capacity.footprint import ROUNDING, Array
from density.model import Workload
from density.shares import share_out

_STEPS = 100
"""Whole instances that a count is moved by at most, to make room for a large one or use what a large one leaves."""


def until_taken(counts: Array, shares: Array, slopes: Array, room: float) -> Array:
    """The counts, not rounded, at which `room` is taken: what is behind its share comes first, then all in their mix.

    Args:
        counts: what is alive; shares: adding up to 1; slopes: what one more of each takes; all in the workloads' order.
        room: what is left; where that is negative, the mix goes back.
    """
    if room <= 0:
        return np.asarray(counts + shares * room / float(slopes @ shares), dtype=np.float64)
    levels = counts / shares
    at, level = counts.copy(), float(levels.min())
    for up_to in (*sorted(set(levels.tolist()))[1:], math.inf):
        behind = levels <= level
        cost = float(slopes[behind] @ shares[behind])
        if cost > 0 and room <= cost * (up_to - level):
            at[behind] = shares[behind] * (level + room / cost)
            return at
        if math.isfinite(up_to):
            room -= cost * (up_to - level)
            at[behind] = shares[behind] * up_to
            level = up_to
    return np.full_like(counts, math.inf)


def whole(total: float, workloads: Sequence[Workload], counts: Array, slopes: Array, room: float) -> float:
    """`total` moved by whole instances, so that those which `share_out` makes of its whole part just fit the room.

    It stays where what is alive has not come back to the shares by then.
    """
    full = room + ROUNDING * (abs(room) + float(np.abs(slopes) @ counts))

    def over(count: int) -> bool:
        shared = share_out(count, workloads)
        return float(slopes @ (np.array([shared[each.name] for each in workloads]) - counts)) > full

    total = snapped(total)
    count = first = math.floor(total)
    shared = share_out(count, workloads)
    if any(shared[each.name] < alive for each, alive in zip(workloads, counts, strict=True)):
        return total
    while over(count) and first - count < _STEPS and count > counts.sum():
        count -= 1
    while not over(count + 1) and count - first < _STEPS:
        count += 1
    return total + count - first


def snapped(count: float) -> float:
    """A count that is whole but for a rounding error, as the whole number that it is."""
    near = round(count) if math.isfinite(count) else count
    return float(near) if abs(count - near) <= ROUNDING * max(1.0, abs(count)) else count
