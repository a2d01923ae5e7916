"""Forecast: the total count at which each hard ceiling would be reached, going on in the same mix of workloads."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from density.capacity.footprint import Line, fit
from density.capacity.typical import typical_costs
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.events import CeilingForecast, WaveSettled
from density.model import Workload

TYPICAL_SPREAD = 0.5
"""How far off a typical cost may be: its interval is value x (1 ± this)."""


def lines(settled: Sequence[WaveSettled], workloads: Sequence[Workload], bounds: Bounds) -> dict[tuple[str, str], Line]:
    """A line for every hard ceiling (id, subject) whose use was read at enough settled points."""
    names = tuple(workload.name for workload in workloads)
    series: dict[tuple[str, str], tuple[list[Mapping[str, int]], list[float]]] = {}
    for point in settled:
        for reading in readings(point.values, bounds):
            if not BY_ID[reading.ceiling].soft:
                counts, use = series.setdefault(reading.key, ([], []))
                counts.append(point.counts)
                use.append(reading.used)
    fitted = {key: fit(counts, use, names) for key, (counts, use) in series.items()}
    return {key: line for key, line in fitted.items() if line is not None}


def forecast(
    settled: Sequence[WaveSettled],
    *,
    values: Mapping[str, float],
    counts: Mapping[str, int],
    workloads: Sequence[Workload],
    bounds: Bounds,
) -> tuple[CeilingForecast, ...]:
    """Where each hard ceiling lies, nearest first.

    Args:
        settled: the points measured so far; typical costs stand in where they cannot tell yet.
        values: the host's last values, for limits and present use.
        counts: alive instances now, by workload.
        workloads: with their shares, which are the mix of what is to come.
        bounds: the reserve is taken off each limit.
    """
    fitted = lines(settled, workloads, bounds)
    now = np.array([counts.get(workload.name, 0) for workload in workloads], dtype=np.float64)
    shares = np.array([workload.share for workload in workloads], dtype=np.float64)
    mix = shares / shares.sum()
    found = [
        _from_line(reading, fitted[reading.key], now, mix)
        if reading.key in fitted
        else _from_typical(reading, workloads, now, mix)
        for reading in readings(values, bounds)
        if not BY_ID[reading.ceiling].soft
    ]
    return tuple(sorted(found, key=lambda ceiling: (ceiling.count, ceiling.ceiling, ceiling.subject)))


def _from_line(reading: Reading, line: Line, now: np.ndarray, mix: np.ndarray) -> CeilingForecast:
    slope = float(line.slopes @ mix)
    slope_margin = line.t * math.sqrt(max(0.0, float(mix @ line.covariance[1:, 1:] @ mix)))
    top = reading.limit - reading.reserve
    if slope <= slope_margin * 0.5 or slope <= 0:
        return _entry(reading, math.inf, math.inf, math.inf)
    more = (top - line.at(now)) / slope
    margin = line.margin(now + max(0.0, more) * mix) / slope
    total = float(now.sum())
    return _entry(reading, total + more, total + more - margin, total + more + margin)


def _from_typical(reading: Reading, workloads: Sequence[Workload], now: np.ndarray, mix: np.ndarray) -> CeilingForecast:
    costs = np.array([typical_costs(workload).get(reading.ceiling, 0.0) for workload in workloads])
    slope = float(costs @ mix)
    if slope <= 0:
        return _entry(reading, math.inf, math.inf, math.inf)
    total, more = float(now.sum()), reading.room / slope
    return _entry(reading, total + more, total + more / (1 + TYPICAL_SPREAD), total + more / (1 - TYPICAL_SPREAD))


def _entry(reading: Reading, count: float, low: float, high: float) -> CeilingForecast:
    return CeilingForecast(
        reading.ceiling, reading.subject, reading.used, reading.limit, reading.reserve, count, low, high
    )
