"""The middle of repeated measurements, and how sure it is; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, hypot

from density.statistics import quantile

SURE = 0.95


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its interval.

    Attributes:
        sure: the interval holds the true median with at least 95 %; else, for want of samples, it is all of them.
    """

    median: float
    low: float
    high: float
    count: int
    sure: bool

    def minus(self, other: "Spread") -> "Spread":
        """The difference of two that were measured apart: their margins add up as independent ones do."""
        middle = self.median - other.median
        low = middle - hypot(self.median - self.low, other.high - other.median)
        high = middle + hypot(self.high - self.median, other.median - other.low)
        return Spread(middle, low, high, min(self.count, other.count), sure=self.sure and other.sure)


def below(found: Spread, bound: float) -> bool | None:
    """Whether it is below the bound; None where the bound lies within its interval."""
    return True if found.high < bound else False if found.low >= bound else None


def less(one: Spread, other: Spread) -> bool | None:
    """Whether the one is less than the other; None where their intervals overlap."""
    return True if one.high < other.low else False if one.low >= other.high else None


def spread(samples: Sequence[float]) -> Spread:
    """Median of the samples, with the narrowest interval between two of them that has 95 %.

    From the sign test, so it asks nothing of how they are spread: of n samples the k-th smallest and k-th largest hold
    the median between them with 1 - 2 P(Binomial(n, 1/2) < k) (H. A. David, H. N. Nagaraja, Order Statistics, 7.1).

    Raises:
        ValueError: no samples.
    """
    ordered, count = sorted(samples), len(samples)
    middle = quantile(ordered, 0.5)
    place = max((k for k in range(1, count // 2 + 1) if _holds(count, k) >= SURE), default=0)
    if place == 0:
        return Spread(middle, ordered[0], ordered[-1], count, sure=False)
    return Spread(middle, ordered[place - 1], ordered[-place], count, sure=True)


def ratios(samples: Sequence[float], reference: Sequence[float]) -> tuple[float, ...]:
    """Each sample to the reference's of the same round; rounds that lack one are left out."""
    return tuple(sample / base for sample, base in zip(samples, reference, strict=False) if base > 0)


def _holds(count: int, place: int) -> float:
    """The confidence of the interval from the `place`-th smallest to the `place`-th largest."""
    return 1.0 - 2.0 * sum(comb(count, below) for below in range(place)) / float(2**count)
