"""A line for every hard ceiling, from what each wave came to at rest."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from density.capacity.footprint import Array, Line, line
from density.capacity.overhead import overhead
from density.capacity.rested import Rested, rested
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds
from density.model import Workload
from density.state import Point, RunState

Key = tuple[str, str]


def fit_lines(state: RunState, workloads: Sequence[Workload], bounds: Bounds) -> dict[Key, Line]:
    """A line for every hard ceiling (id, subject) that was read after enough waves to tell the workloads apart.

    What density itself takes is no cost of an instance: each line has as much of it as there is now, at every count.
    """
    names = tuple(workload.name for workload in workloads)
    rests = [rest for rest in state.rests if rest]
    now = rests[-1][-1].values if rests else {}
    series: dict[Key, tuple[list[Mapping[str, int]], list[Rested]]] = {}
    for samples in state.rests:
        for key, value in _wave(samples, bounds, now).items():
            counts, values = series.setdefault(key, ([], []))
            counts.append(samples[0].counts)
            values.append(value)
    found = {key: fit(counts, values, names) for key, (counts, values) in series.items()}
    return {key: fitted for key, fitted in found.items() if fitted is not None}


def _wave(samples: Sequence[Point], bounds: Bounds, now: Mapping[str, float]) -> dict[Key, Rested]:
    """What every hard ceiling's use came to after one wave, with what density itself takes `now`."""
    uses: dict[Key, tuple[list[float], list[float]]] = {}
    for sample in samples:
        for reading in readings(sample.values, bounds):
            if not BY_ID[reading.ceiling].soft:
                times, use = uses.setdefault(reading.key, ([], []))
                times.append(sample.at)
                own = overhead(reading.key, now) - overhead(reading.key, sample.values)
                use.append(reading.used + own)
    return {key: rested(np.array(times), np.array(use)) for key, (times, use) in uses.items()}


def fit(counts: Sequence[Mapping[str, int]], values: Sequence[Rested], names: tuple[str, ...]) -> Line | None:
    """A line through what each wave came to at rest; `names` are the workloads."""
    if not values:
        return None
    noise = float(np.median([value.noise for value in values]))
    return line(
        np.array([[point.get(name, 0) for name in names] for point in counts], dtype=np.float64),
        np.array([value.use for value in values]),
        names,
        errors=np.array([value.error(noise) for value in values]),
        noise=noise,
    )


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
