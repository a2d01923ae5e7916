"""What a reading comes to when the host rests after a wave: its value in the end, from samples of the way there.

After the last launch of a wave a use often still moves: page tables and caches come late, helpers of the launch go.
Such a tail is close to an exponential, so each wave's samples are fitted by `a + b exp(-t / T)` where they ask for it,
and `a` is what the wave comes to; else their mean is, from the step on where something came or went at a moment.
"""

import math
from dataclasses import dataclass

import numpy as np

from density.capacity.footprint import ROUNDING, Array

TAILS_SECONDS = tuple(float(seconds) for seconds in np.geomspace(0.7, 14.0, 25))
"""Time constants that are tried; a slower tail cannot be told from a leak within a settling time."""
HORIZON_SECONDS = 8.0
ENOUGH = 5
"""Samples without which no tail is looked for."""
ASKS_FOR = 25.0
"""F above which a tail is believed (p about 0.01 with 3 degrees of freedom, as several are tried)."""


@dataclass(frozen=True, slots=True)
class Rested:
    """A reading at rest.

    Attributes:
        use: its value in the end.
        noise: standard deviation of one sample around the way there.
        gain: standard error of `use` that noise causes, as a share of the noise.
        doubt: standard error beside noise: what may still come.
    """

    use: float
    noise: float
    gain: float
    doubt: float

    def error(self, noise: float) -> float:
        """Standard error of `use`, with a noise that is known better than from these few samples."""
        return math.hypot(noise * self.gain, self.doubt)


def rested(times: Array, use: Array) -> Rested:
    """From samples of one reading since a wave's end; times in seconds, in order, at least one."""
    count = len(use)
    mean = float(use.mean())
    if count == 1:
        return Rested(mean, 0.0, 1.0, 0.0)
    spread = use - mean
    noise = float(spread.std(ddof=1))
    flat = Rested(mean, noise, count**-0.5, _to_come(times, use, noise))
    if count < ENOUGH or flat.noise <= ROUNDING * abs(mean):
        return flat
    tails = [_tail(np.exp(-(times - times[0]) / seconds), use) for seconds in TAILS_SECONDS]
    chosen = min(range(len(tails)), key=lambda index: tails[index].noise)
    best = tails[chosen]
    freedom = count - 3
    squares = best.noise**2 * freedom
    asked = float(spread @ spread) - squares
    if asked < ASKS_FOR * max(squares / freedom, (ROUNDING * mean) ** 2):
        return flat
    if begins := _step(use, squares):
        after = use[begins:]
        doubt = _to_come(times[begins:], after, 0.0)
        return Rested(float(after.mean()), float(after.std(ddof=1)), len(after) ** -0.5, doubt)
    # Time constants that fit about as well, and the neighbours of the best, say how little is known of the end.
    rivals = [tail.use for tail in tails if tail.noise**2 <= best.noise**2 * (1 + 4 / freedom)]
    rivals += [tail.use for tail in tails[max(0, chosen - 1) : chosen + 2]]
    return Rested(best.use, best.noise, best.gain, (max(rivals) - min(rivals)) / 2)


def _step(use: Array, squares: float) -> int:
    """The first sample after a step that explains more than a tail, which leaves these squares; 0: there is none.

    Something else on the host came or went at a moment; a tail through that would lead far beyond every sample.
    """

    def left(split: int) -> float:
        return float(use[:split].var() * split + use[split:].var() * (len(use) - split))

    best = min(range(1, len(use) - 1), key=left)
    return best if left(best) < squares else 0


def _to_come(times: Array, use: Array, noise: float) -> float:
    """What a trend beyond chance would still bring: the tail may be there without being asked for."""
    deviation = times - times.mean()
    squares = float(deviation @ deviation)
    trend = abs(float(deviation @ use)) / squares
    return max(0.0, trend - noise / math.sqrt(squares)) * HORIZON_SECONDS


def _tail(way: Array, use: Array) -> Rested:
    """Least squares of `use = a + b way`; three parameters are counted, for the time constant is chosen too."""
    mean_way, mean_use = float(way.mean()), float(use.mean())
    deviation = way - mean_way
    squares = float(deviation @ deviation)
    b = float(deviation @ (use - mean_use)) / squares
    residuals = use - mean_use - b * deviation
    variance = float(residuals @ residuals) / (len(use) - 3)
    gain = math.sqrt(1 / len(use) + mean_way**2 / squares)
    return Rested(mean_use - b * mean_way, math.sqrt(variance), gain, 0.0)
