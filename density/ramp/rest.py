"""Whether the host has come to rest after a wave: what comes late (page tables, caches, merging) must have come."""

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean, median

WINDOW = 4
"""The fewest samples that can say anything."""
LOOKED_AT = 12
"""The most samples that are looked at, the last ones."""
HORIZON_SECONDS = 4.0
STILL = 0.005
"""A reading rests when its trend would move it, over the horizon, by less than this share of what the run has added."""

Key = tuple[str, str]
Uses = Mapping[Key, float]


class Rest:
    """Knows each reading's noise from earlier rests, and so what is movement.

    Noise counts against rest: while it would hide a trend that matters, more samples are wanted.
    """

    def __init__(self) -> None:
        self._roughness: dict[Key, list[float]] = {}
        self._base: Uses = {}

    def moving(self, uses: Sequence[Uses], watched: Collection[Key], *, period: float) -> list[Key]:
        """The watched readings that have not come to rest, from the samples since the wave ended; all, while few.

        Args:
            uses: samples, oldest first.
            watched: the readings that matter.
            period: seconds from one sample to the next.
        """
        if len(uses) < WINDOW:
            return list(watched)
        return [key for key in watched if self._moves(key, _series(key, uses)[-LOOKED_AT:], period)]

    def rested(self, uses: Sequence[Uses]) -> None:
        """Take these samples as those of a rest, and learn their noise; the first rest is the host without a run."""
        for key in uses[-1]:
            self._roughness.setdefault(key, []).extend(_bends(_series(key, uses)))
        self._base = self._base or uses[-1]

    def _moves(self, key: Key, series: Sequence[float], period: float) -> bool:
        if len(series) < WINDOW or key not in self._base:
            return False
        times = [period * (index - (len(series) - 1) / 2) for index in range(len(series))]
        squares = sum(time * time for time in times)
        mean = fmean(series)
        trend = sum(time * (use - mean) for time, use in zip(times, series, strict=True)) / squares
        error = self._noise(key, series) / squares**0.5
        added = abs(mean - self._base[key])
        return bool((abs(trend) + error) * HORIZON_SECONDS > STILL * added)

    def _noise(self, key: Key, series: Sequence[float]) -> float:
        """Standard deviation of one reading: a second difference's is the square root of 6 times as large."""
        bends = [*self._roughness.get(key, ()), *_bends(series)]
        return 1.4826 * float(median(bends)) / 6**0.5


def _series(key: Key, uses: Sequence[Uses]) -> list[float]:
    return [sample[key] for sample in uses if key in sample]


def _bends(series: Sequence[float]) -> list[float]:
    return [abs(a - 2 * b + c) for a, b, c in zip(series, series[1:], series[2:], strict=False)]
