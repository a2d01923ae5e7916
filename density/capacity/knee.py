"""Latency against count: whether there is a knee, where, and how steep it is on either side.

Latencies are put together to points, each the median of those at neighbouring counts: single ones have tails that no
line fits, and 95th percentiles find the same knees only with ten times as many. A point is worth the more the closer
together its latencies are. The launches in flight are taken out: a launch takes longer the more share the engine with
it (four fifths of what moved the time to ready, in a ramp of 2,474 containers), and the tester changes how many they
are. Then a hinge has to beat the straight line (`density.capacity.hinge`), a smooth curve, and insignificance.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from density.capacity.footprint import ROUNDING, Array
from density.capacity.hinge import hinge
from density.statistics import LatencySeries

Shape = Literal["unknown", "flat", "line", "curve", "knee"]
POINTS, MOST_POINTS = 12, 40
SAMPLES = 5
"""Latencies to a point, at least."""
NEIGHBOURS = 2
"""On either side, whose spreads say how far a point may be off: that of five latencies alone says little."""
LEAST_SPREAD = 0.2
"""No point is worth more than one with this share of the median spread: few latencies may be close by chance."""
ALPHA = 0.01
"""Of two latencies a workload, and several workloads, hardly any may show a knee by chance."""
MATERIAL = 0.1
"""A bend that by the last count adds less than this share of the latency where it bends is no knee."""


@dataclass(frozen=True, slots=True)
class Latency:
    """What the median of a latency does as the count grows.

    Attributes:
        shape: `flat`, a `line`, a `curve` that rises ever faster without a knee, a `knee`, or `unknown`.
        reason: why there is no knee, in words; empty where there is one.
        samples: latencies it rests on; points: medians of them; up_to: the largest count.
        p: the share of straight lines that look as bent by chance; None where nothing could be fitted.
        count: the knee's, with its 95 % interval low to high.
        before_seconds, after_seconds: what one more instance adds, on either side of the knee; without one, both are
            the line's slope.
    """

    shape: Shape
    reason: str
    samples: int
    points: int
    up_to: int
    p: float | None = None
    count: int | None = None
    low: int | None = None
    high: int | None = None
    before_seconds: float | None = None
    after_seconds: float | None = None


def latency(series: LatencySeries) -> Latency:
    """The shape of a series of latencies; what is not a finite number is left out."""
    samples = np.array([series.counts, series.in_flight, series.seconds], dtype=np.float64)
    samples = samples[:, np.isfinite(samples).all(axis=0)]
    samples = samples[:, np.argsort(samples[0], kind="stable")]
    points = _points(samples)
    known = Latency("unknown", "", samples.shape[1], len(points), int(samples[0].max(initial=0.0)))
    if len(points) < POINTS:
        return replace(known, reason=f"too few latencies: they make {len(points)} points, and it takes {POINTS}")
    return _judged(known, *points.T)


def _points(samples: Array) -> Array:
    """Rows of mean count, mean in flight, median latency and mean distance from it; no count is in two of them."""
    counts = samples[0]
    size = max(SAMPLES, math.ceil(len(counts) / MOST_POINTS))
    points: list[tuple[float, float, float, float]] = []
    start = 0
    for end in (*(np.flatnonzero(np.diff(counts)) + 1), len(counts)):
        if end - start >= size:
            at, in_flight, seconds = samples[:, start:end]
            median = float(np.median(seconds))
            points.append((at.mean(), in_flight.mean(), median, float(np.abs(seconds - median).mean())))
            start = end
    return np.array(points, dtype=np.float64).reshape(-1, 4)


def _errors(spreads: Array) -> Array:
    """The median of each spread and its neighbours', none far below the others; 1 where there is no spread at all."""
    padded = np.pad(spreads, NEIGHBOURS, mode="reflect")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1), axis=1)
    least = LEAST_SPREAD * float(np.median(smooth))
    return np.maximum(smooth, least) if least > 0 else np.ones(len(spreads))


def _judged(known: Latency, counts: Array, in_flight: Array, seconds: Array, spreads: Array) -> Latency:
    spread = float(np.ptp(seconds))
    if spread <= ROUNDING * float(np.abs(seconds).max()):
        return replace(
            known, shape="flat", reason="it is the same at every count", before_seconds=0.0, after_seconds=0.0
        )
    found = hinge(counts, in_flight, seconds, errors=_errors(spreads))
    line = replace(known, shape="line", p=found.p, before_seconds=found.slope, after_seconds=found.slope)
    if found.p > ALPHA:
        flat = found.slope_low <= 0 <= found.slope_high
        words = "no growth beyond its scatter" if flat else "a straight line explains it"
        return replace(line, shape="flat" if flat else "line", reason=words)
    added = (found.after - max(0.0, found.before)) * (known.up_to - found.bend)
    if added < MATERIAL * found.level:
        return replace(line, reason=f"a bend at {found.bend:,.0f} adds less than {MATERIAL:.0%} to it")
    if len(counts) * math.log(found.smooth_squares / found.squares) < math.log(len(counts)):
        # One parameter more has to earn its keep (Schwarz, Ann. Stat. 6, 1978).
        return replace(line, shape="curve", reason="it rises ever faster, without a bend of its own")
    return replace(
        line,
        shape="knee",
        count=round(found.bend),
        low=math.floor(found.low),
        high=math.ceil(found.high),
        before_seconds=found.before,
        after_seconds=found.after,
    )
