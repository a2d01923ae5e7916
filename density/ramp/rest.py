"""Whether the host has come to rest after a wave: what comes late (page tables, caches, merging) must have come."""

from collections.abc import Collection, Mapping, Sequence
from statistics import median

WINDOW = 4
"""Samples that are looked at: the mean of the last two against that of the two before."""
STILL = 0.005
"""A reading rests when it moves by less than this share of what the wave has moved it."""
NOISES = 2.0
"""Or by less than this many standard deviations of its own noise."""

Key = tuple[str, str]
Uses = Mapping[Key, float]


class Rest:
    """Knows each reading's noise from earlier rests, and so what is movement."""

    def __init__(self) -> None:
        self._roughness: dict[Key, list[float]] = {}
        self._before: Uses = {}

    def moving(self, uses: Sequence[Uses], watched: Collection[Key]) -> list[Key]:
        """The watched readings that have not come to rest, from the samples since the wave ended; all, while few."""
        if len(uses) < WINDOW:
            return list(watched)
        return [key for key in watched if self._moves(key, _series(key, uses))]

    def rested(self, uses: Sequence[Uses]) -> None:
        """Take these samples as those of a rest: noise is learnt from them, and the next wave starts from them."""
        for key in uses[-1]:
            self._roughness.setdefault(key, []).extend(_bends(_series(key, uses)))
        self._before = uses[-1]

    def _moves(self, key: Key, series: Sequence[float]) -> bool:
        window = series[-WINDOW:]
        if len(window) < WINDOW:
            return False
        moved = abs(sum(window[-2:]) - sum(window[:2])) / 2
        wave = abs(window[-1] - self._before.get(key, window[-1]))
        bends = [*self._roughness.get(key, ()), *_bends(series)]
        # The standard deviation of a second difference is the square root of 6 times that of a reading.
        noise = 1.4826 * float(median(bends)) / 6**0.5
        return bool(moved > max(STILL * wave, NOISES * noise))


def _series(key: Key, uses: Sequence[Uses]) -> list[float]:
    return [sample[key] for sample in uses if key in sample]


def _bends(series: Sequence[float]) -> list[float]:
    return [abs(a - 2 * b + c) for a, b, c in zip(series, series[1:], series[2:], strict=False)]
