"""Outlook: a line for every hard ceiling from what was read at rest, and what follows from them.

Beside instances, two things may move a reading: memory that an instance takes only some seconds after it is ready, and
memory that vanishes by itself. Each gets a column of its own in the fit where the readings ask for it (F-test), so that
neither is taken for a cost of instances.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from density.capacity.footprint import ROUNDING, Array, Line, line, solve
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds
from density.model import Workload
from density.state import Point, RunState

LATE_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Time constants tried for what comes after ready."""
ASKS_FOR = 12.0
"""F above which a further column is taken in: about p = 0.001 with a few dozen readings, as several are tried."""
ENOUGH_POINTS = 8

Key = tuple[str, str]


def fit_lines(state: RunState, workloads: Sequence[Workload], bounds: Bounds) -> dict[Key, Line]:
    """A line for every hard ceiling (id, subject) that was read at enough points to tell the workloads apart."""
    names = tuple(workload.name for workload in workloads)
    series: dict[Key, tuple[list[Point], list[float]]] = {}
    for point in state.points:
        for reading in readings(point.values, bounds):
            if not BY_ID[reading.ceiling].soft:
                points, use = series.setdefault(reading.key, ([], []))
                points.append(point)
                use.append(reading.used)
    found = ((key, _fit(points, np.array(use), names, state)) for key, (points, use) in series.items())
    return {key: fitted for key, fitted in found if fitted is not None}


def _fit(points: Sequence[Point], use: Array, names: tuple[str, ...], state: RunState) -> Line | None:
    counts = np.array([[point.counts.get(name, 0) for name in names] for point in points], dtype=np.float64)
    plain = line(counts, use, names)
    exact = plain is not None and plain.sigma <= ROUNDING * float(np.abs(use).max())
    if plain is None or exact or len(points) < ENOUGH_POINTS:
        return plain
    return line(counts, use, names, *_nuisances(points, counts, use, plain, state))


def _nuisances(points: Sequence[Point], counts: Array, use: Array, plain: Line, state: RunState) -> list[Array]:
    """The further columns that the readings ask for."""
    times = np.array([point.at for point in points])
    taken: list[Array] = []
    columns = np.column_stack((np.ones(len(use)), counts))
    for candidates in (_late(times, plain, state), [times - times[-1]]):
        before = solve(columns, use)
        best, gain = None, ASKS_FOR
        for candidate in candidates:
            after = solve(np.column_stack((columns, candidate)), use)
            if before is None or after is None or after.freedom < 1:
                continue
            f = (before.squares - after.squares) / max(after.squares / after.freedom, 1e-300)
            if f > gain and _sensible(candidate, after.coefficients[-1]):
                best, gain = candidate, f
        if best is not None:
            taken.append(best)
            columns = np.column_stack((columns, best))
    return taken


def _sensible(candidate: Array, coefficient: float) -> bool:
    """What is still to come is a negative share of at most the whole cost; what vanishes may do as it likes."""
    return bool(candidate.max() <= 0) or -1.0 <= coefficient <= 0.0


def _late(times: Array, plain: Line, state: RunState) -> Iterator[Array]:
    """For each time constant, the cost of what is ready at each point, weighted by how little of it may have come."""
    for seconds in LATE_SECONDS:
        pending = np.zeros(len(times))
        for name, cost in zip(plain.workloads, plain.slopes, strict=True):
            ready = np.array(state.ready_at[name])
            if len(ready):
                ages = times[:, None] - ready[None, :]
                pending += cost * np.where(ages >= 0, np.exp(-np.maximum(ages, 0.0) / seconds), 0.0).sum(axis=1)
        if np.ptp(pending) > 0:
            yield pending


def counts_vector(counts: Mapping[str, int], workloads: Sequence[Workload]) -> Array:
    """Counts in the workloads' order."""
    return np.array([counts.get(workload.name, 0) for workload in workloads], dtype=np.float64)


def mix(workloads: Sequence[Workload]) -> Array:
    """The shares, adding up to 1."""
    shares = np.array([workload.share for workload in workloads], dtype=np.float64)
    return np.asarray(shares / shares.sum(), dtype=np.float64)


def slope_margin(fitted: Line, direction: Array) -> float:
    """Half the 95 % interval of the cost of one more instance in this mix."""
    return fitted.t * math.sqrt(max(0.0, float(direction @ fitted.covariance[1:, 1:] @ direction)))
