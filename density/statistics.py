"""Small statistics that several parts need, the same everywhere."""

import math
from array import array
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

MOST_SAMPLES = 16_384
Unknown = TypeVar("Unknown", int, None)


def quantile(values: Collection[float], q: float) -> float:
    """The `q` quantile (0 to 1) by linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996).

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    position = (len(ordered) - 1) * q
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def floored(value: float, *, unknown: Unknown) -> int | Unknown:
    """The whole number at or below a value; `unknown` for what is infinite or no number."""
    return math.floor(value) if math.isfinite(value) else unknown


@dataclass(slots=True)
class LatencySeries:
    """Latencies with what the host bore at that moment; a day of them takes no more memory than an hour's.

    Once there are MOST_SAMPLES every other one is dropped, and from then on every other one is taken, so that those
    that are left are spread evenly over the run.

    Attributes:
        counts: instances alive; in_flight: launches under way; seconds: the latency.
    """

    counts: "array[float]" = field(default_factory=lambda: array("d"))
    in_flight: "array[float]" = field(default_factory=lambda: array("d"))
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    _stride: int = 1
    _seen: int = 0

    def add(self, count: int, in_flight: int, seconds: float) -> None:
        """One more, later than those before."""
        self._seen += 1
        if self._seen % self._stride:
            return
        self.counts.append(count)
        self.in_flight.append(in_flight)
        self.seconds.append(seconds)
        if len(self.seconds) >= MOST_SAMPLES:
            self._stride *= 2
            for kept in (self.counts, self.in_flight, self.seconds):
                del kept[::2]
