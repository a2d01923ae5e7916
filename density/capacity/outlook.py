"""A line for every hard ceiling, from what each wave came to at rest."""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from density.capacity.footprint import Array, Line, line
from density.capacity.jumps import dearest, moved
from density.capacity.overhead import overhead
from density.capacity.rested import Rested, rested
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds
from density.model import Workload
from density.state import AtRest, Point, RunState

Key = tuple[str, str]
REST_POINTS = 500
"""What working out one rest costs, in points of a line."""


@dataclass(frozen=True, slots=True)
class Fits:
    """What the rests of a run come to, by ceiling and subject.

    Attributes:
        lines: a line for every hard ceiling that was read after enough waves to tell the workloads apart.
        dearest: the most that any one wave took for each of its instances.
        moved: those of which points are left out, since something else than the instances moved them.
    """

    lines: Mapping[Key, Line] = field(default_factory=dict)
    dearest: Mapping[Key, float] = field(default_factory=dict)
    moved: frozenset[Key] = frozenset()


def fit_lines(state: RunState, workloads: Sequence[Workload], bounds: Bounds) -> Mapping[Key, Line]:
    """A line for every hard ceiling (id, subject) that was read after enough waves to tell the workloads apart.

    What density itself takes is no cost of an instance: each line has as much of it as there is now, at every count.
    """
    return fits(state, workloads, bounds).lines


def fits(state: RunState, workloads: Sequence[Workload], bounds: Bounds) -> Fits:
    """Everything that is fitted, at once; kept until the next rest."""
    work = fitting(state, workloads, bounds)
    while True:
        try:
            next(work)
        except StopIteration as done:
            return cast("Fits", done.value)


def fitting(state: RunState, workloads: Sequence[Workload], bounds: Bounds) -> Generator[int, None, Fits]:
    """The same in small steps, so that others get their turn: yields the points of each line before it is fitted.

    What a wave came to is worked out once, and so is a fit of the same rests: both are kept with the samples.
    """
    rests = list(state.rests)
    if not rests:
        return Fits()
    names = tuple(workload.name for workload in workloads)
    known, key = rests[-1].memo, ("fits", len(rests), names, bounds)
    if key not in known:
        known[key] = yield from _fitting(rests, names, bounds)
    return cast("Fits", known[key])


def _fitting(rests: Sequence[AtRest], names: tuple[str, ...], bounds: Bounds) -> Generator[int, None, Fits]:
    rows: dict[Key, list[int]] = {}
    values: dict[Key, list[Rested]] = {}
    counts = np.array([[rest[0].counts.get(name, 0) if rest else 0 for name in names] for rest in rests], np.float64)
    for row, rest in enumerate(rests):
        if ("rested", bounds) not in rest.memo:
            yield REST_POINTS
        for key, value in _rested(rest, bounds).items():
            rows.setdefault(key, []).append(row)
            values.setdefault(key, []).append(value)
    lines: dict[Key, Line] = {}
    dearest_: dict[Key, float] = {}
    moved_: set[Key] = set()
    now = next((rest[-1].values for rest in reversed(rests) if rest), {})
    for key, found in values.items():
        yield len(found)
        mine = counts if len(found) == len(counts) else counts[rows[key]]
        use = np.array([value.use for value in found]) + overhead(key, now)
        jumps, mask = moved(mine, use)
        dearest_[key] = dearest(mine, use, jumps)
        if mask is not None:
            moved_.add(key)
            mine, use = mine[mask], use[mask]
            found = [value for value, stays in zip(found, mask, strict=True) if stays]  # noqa: PLW2901 — fewer of them
        if (fitted := _line(mine, use, found, names)) is not None:
            lines[key] = fitted
    return Fits(lines, dearest_, frozenset(moved_))


def _rested(rest: AtRest, bounds: Bounds) -> Mapping[Key, Rested]:
    """What every hard ceiling's use came to after one wave, without density's own; worked out once."""
    key = ("rested", bounds)
    if key not in rest.memo:
        rest.memo[key] = _wave(rest, bounds)
    return cast("Mapping[Key, Rested]", rest.memo[key])


def _wave(samples: Sequence[Point], bounds: Bounds) -> dict[Key, Rested]:
    """Without what density itself took at each sample."""
    uses: dict[Key, tuple[list[float], list[float]]] = {}
    for sample in samples:
        for reading in readings(sample.values, bounds):
            if not BY_ID[reading.ceiling].soft:
                times, use = uses.setdefault(reading.key, ([], []))
                times.append(sample.at)
                use.append(reading.used - overhead(reading.key, sample.values))
    return {key: rested(np.array(times), np.array(use)) for key, (times, use) in uses.items()}


def fit(counts: Sequence[Mapping[str, int]], values: Sequence[Rested], names: tuple[str, ...]) -> Line | None:
    """A line through what each wave came to at rest; `names` are the workloads."""
    if not values:
        return None
    table = np.array([[point.get(name, 0) for name in names] for point in counts], dtype=np.float64)
    use = np.array([value.use for value in values])
    mask = moved(table, use).mask
    if mask is not None:
        table, use = table[mask], use[mask]
        values = [value for value, stays in zip(values, mask, strict=True) if stays]
    return _line(table, use, values, names)


def _line(counts: Array, use: Array, values: Sequence[Rested], names: tuple[str, ...]) -> Line | None:
    noise = float(np.median([value.noise for value in values]))
    return line(
        counts,
        use,
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
