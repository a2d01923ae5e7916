"""Points that something else than the run's instances moved: a load that came or went between two rests."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from density.capacity.footprint import ROUNDING, Array

Block = tuple[int, int]
"""The first of some points in a row, and the one after the last."""
MOST = 3
"""Points or steps that are looked for in one series."""
LEAST_FREEDOM = 2
"""Degrees of freedom that must be left: with fewer, a step explains whatever it is asked to."""
CLEARER = 50.0
"""The squares that are left without a step are at least so many times those with it, which a curve does not reach."""
LONGEST = 8
"""Rests in a row for which a passing load is looked for; one that stays for longer is a step, and another back."""
_F = {2: 9998.0, 3: 784.0, 4: 241.0, 5: 125.0, 6: 82.0, 7: 62.0, 8: 51.0}
"""F of one and so many degrees of freedom that chance exceeds once in 10,000 times; many steps are tried."""
_F_BEYOND = 45.0


def unmoved(counts: Array, use: Array) -> NDArray[np.bool_] | None:
    """Which points to fit a line through, as a mask; None: all of them.

    A step in the use that no cost of the instances explains, and that is larger than what the instances of that wave
    took, is not theirs: the points before it belong to another host. A few points in a row off the line are left out.

    Args:
        counts: alive instances, shape (points, workloads), in the order of time.
        use: the resource's use at each point.
    """
    points, parameters = len(use), 1 + counts.shape[1]
    x = np.column_stack((np.ones(points), counts))
    if points - parameters - 1 < LEAST_FREEDOM or np.linalg.matrix_rank(x) < parameters:
        return None
    found: list[Block] = []
    believed = 0
    reference = _squares(x, use)
    for freedom in range(points - parameters - 1, max(points - parameters - 1 - MOST, LEAST_FREEDOM - 1), -1):
        if reference <= points * (ROUNDING * float(np.abs(use).max())) ** 2:
            break
        block, left = _clearest(np.column_stack((x, *(_inside(points, each) for each in found))), use)
        found.append(block)
        # Several at once have to be as much clearer as each of them.
        clearer = max(CLEARER, 1 + _F.get(freedom, _F_BEYOND) / freedom) ** (len(found) - believed)
        if left * clearer <= reference:
            believed, reference = len(found), left
    mask = _stay(points, found[:believed])
    if not _are_jumps(x, use, found[:believed]) or mask.sum() <= parameters:
        return None
    return mask if np.linalg.matrix_rank(x[mask]) == parameters else None


def _squares(x: Array, use: Array) -> float:
    residuals = use - x @ np.linalg.lstsq(x, use, rcond=None)[0]
    return float(residuals @ residuals)


def _clearest(x: Array, use: Array) -> tuple[Block, float]:
    """The block that explains most of what these columns leave, and the squares that are left with it."""
    basis = np.linalg.qr(x)[0]
    residuals = use - basis @ (basis.T @ use)
    first, end = _blocks(len(use))
    sums = np.vstack((np.zeros(basis.shape[1]), basis.cumsum(axis=0)))
    left_over = np.concatenate(([0.0], residuals.cumsum()))
    within = sums[end] - sums[first]
    norms = (end - first) - np.einsum("ij,ij->i", within, within)
    gains = left_over[end] - left_over[first]
    explained = np.divide(gains**2, norms, out=np.zeros_like(norms), where=norms > 1e-6)
    best = int(explained.argmax())
    block = (int(first[best]), int(end[best]))
    return block, max(float(residuals @ residuals) - float(explained[best]), 0.0)


def _inside(points: int, block: Block) -> Array:
    """1 at the points of a block, 0 elsewhere."""
    at = np.arange(points)
    return np.asarray((at >= block[0]) & (at < block[1]), dtype=np.float64)


def _stay(points: int, blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """The points after the last step that are in no other block."""
    mask = np.ones(points, dtype=bool)
    for block in blocks:
        inside = _inside(points, block) > 0
        mask &= inside if block[1] == points else ~inside
    return mask


def _are_jumps(x: Array, use: Array, blocks: Sequence[Block]) -> bool:
    """Whether there are any, each larger than what the instances of the waves at its ends took themselves."""
    design = np.column_stack((x, *(_inside(len(use), each) for each in blocks)))
    coefficients = np.linalg.lstsq(design, use, rcond=None)[0]
    slopes, sizes = coefficients[1 : x.shape[1]], coefficients[x.shape[1] :]
    for (begins, ends), size in zip(blocks, sizes, strict=True):
        edges = [begins, *([ends] if ends < len(use) else [])]
        own = max(abs(float(slopes @ (x[edge, 1:] - x[edge - 1, 1:]))) for edge in edges)
        if abs(float(size)) <= own:
            return False
    return bool(blocks)


@lru_cache(maxsize=4)
def _blocks(points: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First point and end of every run of points that may have been moved together: short ones, and all up to the last.

    One that begins with the first point is the same as a step at its end, and no block of its own.
    """
    pairs = [
        (first, end)
        for first in range(1, points)
        for end in (*range(first + 1, min(first + LONGEST, points - 1) + 1), points)
    ]
    first, end = np.array(pairs, dtype=np.intp).T
    return first, end


def dearest(counts: Array, use: Array) -> float:
    """The most that any one wave took for each of its instances, whoever took it; 0 where no wave grew."""
    launched = np.diff(counts.sum(axis=1))
    grown = launched > 0
    return max(0.0, float((np.diff(use)[grown] / launched[grown]).max())) if grown.any() else 0.0
