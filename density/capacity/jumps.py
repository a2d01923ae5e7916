"""Points that something else than the run's instances moved: a load that came or went between two rests."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

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
MOST_FOR_PAIRS = 24
"""Points among which two jumps are looked for at once."""
LONGEST = 8
"""Rests in a row for which a passing load is looked for; one that stays for longer is a step, and another back."""
_F = {2: 9998.0, 3: 784.0, 4: 241.0, 5: 125.0, 6: 82.0, 7: 62.0, 8: 51.0}
"""F of one and so many degrees of freedom that chance exceeds once in 10,000 times; many steps are tried."""
_F_BEYOND = 45.0


class Moved(NamedTuple):
    """What something else did to a series of points.

    Attributes:
        jumps: the points that it moved, in blocks; a step is a block that ends with the last point.
        mask: the points to fit a line through; None where there is no jump, or too few are left: all of them.
    """

    jumps: tuple[Block, ...] = ()
    mask: NDArray[np.bool_] | None = None


def moved(counts: Array, use: Array) -> Moved:
    """The jumps in a series of points.

    A step in the use that no cost of the instances explains, and that is larger than what the instances of that wave
    took, is not theirs: the points before it belong to another host. A few points in a row off the line are left out.

    Args:
        counts: alive instances, shape (points, workloads), in the order of time.
        use: the resource's use at each point.
    """
    parameters = 1 + counts.shape[1]
    x = np.column_stack((np.ones(len(use)), counts))
    if len(use) - parameters - 1 < LEAST_FREEDOM or np.linalg.matrix_rank(x) < parameters:
        return Moved()
    jumps = _found(x, use)
    mask = _stay(len(use), jumps)
    if not jumps or mask.sum() <= parameters or np.linalg.matrix_rank(x[mask]) < parameters:
        return Moved(jumps)
    return Moved(jumps, mask)


def _found(x: Array, use: Array) -> tuple[Block, ...]:
    """The blocks that make the line so much clearer that chance does not explain it, one by one or two at once."""
    points, parameters = x.shape
    most = points - parameters - 1
    rounding = points * (ROUNDING * float(np.abs(use).max())) ** 2
    found: list[Block] = []
    believed: list[tuple[Block, ...]] = [()]
    reference = _squares(x, use)
    for freedom in range(most, max(most - MOST, LEAST_FREEDOM - 1), -1):
        if reference <= rounding:
            break
        found.append(_clearest(_with(x, found), use))
        left = _squares(_with(x, found), use)
        # Several at once have to be as much clearer as each of them.
        if left * _clearer(freedom) ** (len(found) - len(believed[-1])) <= reference:
            believed.append(tuple(found))
            reference = left
    if len(believed) == 1 and rounding < reference and most - 1 >= LEAST_FREEDOM and points <= MOST_FOR_PAIRS:
        # The one that explains most by itself may be none of two.
        pair = _clearest_pair(x, use)
        if _squares(_with(x, pair), use) * _clearer(most - 1) ** 2 <= reference:
            believed.append(pair)
    return next((blocks for blocks in reversed(believed) if _are_jumps(x, use, blocks)), ())


def _clearer(freedom: int) -> float:
    """By which factor one block more has to make the squares that are left smaller."""
    return max(CLEARER, 1 + _F.get(freedom, _F_BEYOND) / freedom)


def _squares(x: Array, use: Array) -> float:
    residuals = use - x @ np.linalg.lstsq(x, use, rcond=None)[0]
    return float(residuals @ residuals)


def _with(x: Array, blocks: Sequence[Block]) -> Array:
    """These columns, and one for each block."""
    return np.column_stack((x, *(_inside(len(x), each) for each in blocks)))


def _clearest(x: Array, use: Array) -> Block:
    """The block that explains most of what these columns leave."""
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
    return int(first[best]), int(end[best])


def _clearest_pair(x: Array, use: Array) -> tuple[Block, ...]:
    """The two blocks that together explain most of what these columns leave."""
    basis = np.linalg.qr(x)[0]
    first, end = _blocks(len(use))
    inside = np.array([_inside(len(use), block) for block in zip(first.tolist(), end.tolist(), strict=True)])
    inside -= (inside @ basis) @ basis.T
    products = inside @ inside.T
    gain, norm = inside @ use, np.diag(products)
    area = np.outer(norm, norm) - products**2
    gains = np.outer(gain**2, norm)
    explained = gains + gains.T - 2 * np.outer(gain, gain) * products
    best = np.divide(explained, area, out=np.zeros_like(area), where=area > 1e-6)
    pair = np.unravel_index(int(best.argmax()), best.shape)
    return tuple((int(first[each]), int(end[each])) for each in pair)


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
    coefficients = np.linalg.lstsq(_with(x, blocks), use, rcond=None)[0]
    slopes, sizes = coefficients[1 : x.shape[1]], coefficients[x.shape[1] :]
    for (begins, ends), size in zip(blocks, sizes, strict=True):
        edges = [begins, *([ends] if ends < len(use) else [])]
        own = min(abs(float(slopes @ (x[edge, 1:] - x[edge - 1, 1:]))) for edge in edges)
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


def dearest(counts: Array, use: Array, jumps: Sequence[Block] = ()) -> float:
    """The most that any one wave took for each of its instances, whoever took it; 0 where no wave grew.

    Waves at the ends of jumps that came before the last point took what is not theirs.
    """
    launched = np.diff(counts.sum(axis=1))
    grown = launched > 0
    edges = {edge for block in jumps for edge in block if edge < len(use) - 1}
    grown[[edge - 1 for edge in edges]] = False
    return max(0.0, float((np.diff(use)[grown] / launched[grown]).max())) if grown.any() else 0.0
