"""What one host can hold: patterns, which are counts of each workload that fit together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from density.capacity.footprint import Array

Counts = tuple[int, ...]
"""Instances of each workload, in the demand's order."""
TOLERANCE = 1e-9
"""Shares of the room are told apart no finer than this; rounding errors are smaller."""
NEAR = 1e-3
"""A pattern within this share of the best will do: with hundreds of instances on a host the best is hard to find."""
PATIENCE_SECONDS = 0.05


@dataclass(frozen=True)
class Bin:
    """A host type as packing sees it.

    Attributes:
        loads: what one instance takes, as a share of the room: a row a resource, a column a workload.
        demand: more than this of a workload is of no use on one host.
        price: of one host.
        most: how many of them there are; None: as many as it takes.
    """

    loads: Array
    demand: Counts
    price: Fraction = Fraction(1)
    most: int | None = None
    tight: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tight", _undominated(self.loads))

    def fits(self, counts: Sequence[int]) -> bool:
        """Whether these instances fit on one host."""
        return bool(np.all(self.tight @ np.array(counts, dtype=np.float64) <= 1 + TOLERANCE))

    def alone(self, workload: int) -> int:
        """How many of one workload fit on an empty host, at most what is in demand."""
        largest = float(self.loads[:, workload].max(initial=0.0))
        if largest == 0:
            return self.demand[workload]
        return min(self.demand[workload], int((1 + TOLERANCE) / largest))

    def filled(self, counts: Sequence[int], order: Sequence[int]) -> Counts:
        """These counts, and as many more as fit, workloads in this order."""
        found = list(counts)
        free = 1 + TOLERANCE - self.tight @ np.array(found, dtype=np.float64)
        for workload in order:
            column = self.tight[:, workload]
            taken = column > 0
            room = float((free[taken] / column[taken]).min(initial=np.inf))
            more = int(max(0.0, min(self.demand[workload] - found[workload], room)))
            found[workload] += more
            free = free - more * column
        return tuple(found)

    def best(self, worth: Array) -> tuple[Counts, float]:
        """A pattern that is worth about the most, by the worth of one instance; and what none is worth more than."""
        alone = [self.alone(workload) for workload in range(len(worth))]
        wanted = [workload for workload, most in enumerate(alone) if most and worth[workload] > 0]
        order = sorted(wanted, key=lambda workload: -worth[workload])
        empty = (0,) * len(worth)
        if len(wanted) < 2 or not len(self.tight):
            counts = self.filled(empty, order)
            return counts, float(worth @ counts)
        found = milp(
            -worth[wanted],
            integrality=np.ones(len(wanted), dtype=np.int64),
            bounds=Bounds(0, np.array([alone[workload] for workload in wanted])),
            constraints=LinearConstraint(self.tight[:, wanted], ub=1.0),
            options={"mip_rel_gap": NEAR, "time_limit": PATIENCE_SECONDS, "presolve": False},
        )
        most = -found.mip_dual_bound if found.mip_dual_bound is not None else float(worth @ np.array(alone))
        rounded = list(empty)
        for workload, count in zip(wanted, [] if found.x is None else np.rint(found.x), strict=False):
            rounded[workload] = int(count)
        counts = self.filled(self._trimmed(rounded, order), order)
        return counts, max(most, float(worth @ counts))

    def _trimmed(self, counts: list[int], order: Sequence[int]) -> list[int]:
        """Without what the solver's tolerance let in: the least worth goes first."""
        for workload in reversed(order):
            while counts[workload] and not self.fits(counts):
                counts[workload] -= 1
        return counts

    def maximal(self, *, most: int) -> list[Counts] | None:
        """Every pattern to which nothing can be added; None where there are more than `most` to look at."""
        found: list[Counts] = []
        for looked_at, counts in enumerate(self._all(())):
            if looked_at >= most:
                return None
            if counts == self.filled(counts, range(len(counts))):
                found.append(counts)
        return found

    def _all(self, counts: Counts) -> Iterator[Counts]:
        """Every pattern whose last workload is as many as fit."""
        left = len(self.demand) - len(counts)
        now = (*counts, *(0,) * left)
        full = self.filled(now, [len(counts)])
        if left == 1:
            yield full
            return
        for count in range(full[len(counts)], -1, -1):
            yield from self._all((*counts, count))


def _undominated(loads: Array) -> Array:
    """Without the resources that never bind before another does."""
    kept: list[Array] = []
    for row in sorted(loads, key=lambda row: -float(row.sum())):
        if not any(np.all(other >= row) for other in kept):
            kept.append(row)
    return np.array(kept, dtype=np.float64).reshape(len(kept), loads.shape[1])
