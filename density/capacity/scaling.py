"""How launching scales with the launches in flight: Gunther's Universal Scalability Law, where it fits.

Rate of launches with `m` in flight: `X(m) = (m / w) / (1 + s (m - 1) + k m (m - 1))`, with `w` the seconds of a launch
alone, `s` the contention (what launches wait for one another) and `k` the coherency (what they cost each other); see
Gunther, Guerrilla Capacity Planning, 2007. In this law `m` is what is under way at once, so it is fitted to launches in
flight; instances that are alive only sit there, and what they cost is in `density.capacity.knee`. By Little's law a
launch takes `m / X(m)` seconds, which is a parabola of `m`, so that least squares of the time to ready is enough.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from density.capacity.footprint import Array
from density.capacity.knee import SAMPLES
from density.statistics import LatencySeries

DIFFERENT = 5
"""Numbers in flight that must have been seen often enough."""
RANGE = 3.0
"""The largest of them as a multiple of the smallest, at least: a shorter piece of a parabola is a line."""
FITS = 0.8
"""Share of the variance between them that the law must explain."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """The law's parameters.

    Attributes:
        alone_seconds: time to ready of a launch alone, at the mean count.
        contention, coherency: the law's sigma and kappa; 0 where there is none.
        best_in_flight: launches in flight with the highest rate; None where no tried number was past it.
        most_per_second: the highest rate, of those that were tried.
        up_to: the most that were in flight; fit: share of the variance explained.
    """

    alone_seconds: float
    contention: float
    coherency: float
    best_in_flight: int | None
    most_per_second: float
    up_to: int
    fit: float


def scaling(series: LatencySeries) -> Scaling | None:
    """The law for a series of times to ready; None where it does not fit, or too little was tried to tell."""
    in_flight, counts, seconds = _medians(series)
    if len(in_flight) < DIFFERENT or in_flight.max() < RANGE * in_flight.min():
        return None
    about = counts - counts.mean()
    columns = np.column_stack((np.ones(len(in_flight)), in_flight - 1, in_flight * (in_flight - 1), about))
    alone, contended, coherent, fit = _least_squares(columns, seconds)
    if alone <= 0 or fit < FITS:
        return None
    contention, coherency, up_to = contended / alone, coherent / alone, int(in_flight.max())
    best = math.sqrt((1 - contention) / coherency) if coherency > 0 and contention < 1 else math.inf
    best_in_flight = max(1, round(best)) if best <= up_to else None
    at = best_in_flight or up_to
    rate = at / alone / (1 + contention * (at - 1) + coherency * at * (at - 1))
    return Scaling(alone, contention, coherency, best_in_flight, rate, up_to, fit)


def _medians(series: LatencySeries) -> tuple[Array, Array, Array]:
    """Numbers in flight that were seen often enough; mean count and median time to ready with each."""
    samples = np.array([series.in_flight, series.counts, series.seconds], dtype=np.float64)
    samples = samples[:, np.isfinite(samples).all(axis=0)]
    seen, often = np.unique(samples[0], return_counts=True)
    kept = [samples[:, samples[0] == number] for number in seen[often >= SAMPLES]]
    medians = [(of[0, 0], of[1].mean(), np.median(of[2])) for of in kept]
    found = np.array(medians, dtype=np.float64).reshape(-1, 3)
    return found[:, 0], found[:, 1], found[:, 2]


def _least_squares(columns: Array, seconds: Array) -> tuple[float, float, float, float]:
    """The first three coefficients, neither contention nor coherency below 0, and the share of variance explained."""
    total = float(((seconds - seconds.mean()) ** 2).sum())
    best = (0.0, 0.0, 0.0, -math.inf)
    for wanted in product((True, False), repeat=2):
        kept = np.flatnonzero((True, *wanted, True))
        found = np.zeros(4)
        found[kept] = np.linalg.lstsq(columns[:, kept], seconds, rcond=None)[0]
        left = float(((seconds - columns @ found) ** 2).sum())
        explained = 1 - left / total if total > 0 else 0.0
        if min(found[1:3]) >= 0 and explained > best[3]:
            best = (float(found[0]), float(found[1]), float(found[2]), explained)
    return best
