"""Forecast: the total count at which each hard ceiling would be reached, going on in the same mix of workloads."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from density.capacity.footprint import ROUNDING, Array, Line
from density.capacity.outlook import Key, counts_vector, fits, mix, slope_margin
from density.capacity.typical import expected_cost, typical_cost
from density.capacity.way import snapped, until_taken, whole
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.events import CeilingForecast
from density.model import Workload
from density.state import RunState

FAR = 0.1
"""A ceiling is far away while at least this share of what runs fits once more at the highest cost that was seen."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of every hard ceiling now.

    Attributes:
        readings: use and limit of each, as last read.
        lines: of those that were measured; expected costs (`density.capacity.typical`) stand in for the others.
        counts: alive instances, in the workloads' order.
        cgroup_version: the host's; some typical costs depend on it.
        dearest: the most that any one wave took for each of its instances.
        moved: ceilings of which points are left out, since something else than the instances moved them.
    """

    workloads: tuple[Workload, ...]
    readings: tuple[Reading, ...]
    lines: Mapping[Key, Line]
    counts: Array
    cgroup_version: float = 2.0
    dearest: Mapping[Key, float] = field(default_factory=dict)
    moved: frozenset[Key] = frozenset()

    def forecast(self) -> tuple[CeilingForecast, ...]:
        """Where each ceiling lies, nearest first."""
        found = [self._forecast(reading) for reading in self.readings]
        return tuple(sorted(found, key=lambda ceiling: (ceiling.count, ceiling.ceiling, ceiling.subject)))

    def costs(self) -> dict[Key, float]:
        """Ceiling and subject -> what one more instance of the mix takes, where that was measured."""
        direction = mix(self.workloads)
        return {key: float(fitted.slopes @ direction) for key, fitted in self.lines.items()}

    def typical(self, key: Key) -> float:
        """What one more instance of the mix is expected to take of a ceiling before that is measured."""
        expected = [expected_cost(each, *key, cgroup_version=self.cgroup_version).cost for each in self.workloads]
        return float(np.array(expected) @ mix(self.workloads))

    def costs_by_workload(self) -> dict[Key, dict[str, float]]:
        """Ceiling and subject -> what one more instance of each workload takes, and not less than is typical."""
        found = {}
        for reading in self.readings:
            fitted, typical = self.lines.get(reading.key), self._typical(reading)
            costs = typical if fitted is None else np.maximum(fitted.slopes, typical)
            found[reading.key] = dict(zip((each.name for each in self.workloads), costs.tolist(), strict=True))
        return found

    def far_from(self, key: Key, count: int) -> int:
        """How many instances fit under a ceiling also at the dearest wave's cost, where that is `count` or more.

        An interval that comes from few points, or from what something else moved, may reach past any reserve. It stops
        nothing while so many would fit at the highest cost that was ever seen, whoever caused it: one more tells what
        an instance takes. 0 where they would not, and near the ceiling, where intervals are what keeps the reserve.
        """
        reading = next((each for each in self.readings if each.key == key), None)
        fitted = self.lines.get(key)
        if reading is None or fitted is None:
            return 0
        direction = mix(self.workloads)
        seen = max(self.dearest.get(key, 0.0), float(fitted.slopes @ direction))
        cost = max(seen, float(self._typical(reading) @ direction))
        fit = math.floor(snapped(min(reading.room / cost, 2**31))) if cost > 0 else 0
        return fit if fit >= max(count, FAR * float(self.counts.sum())) else 0

    def crossed_by(self, sizes: Mapping[str, int]) -> Iterator[Key]:
        """The ceilings whose reserve a reading might cross once these further instances are alive."""
        more = counts_vector(sizes, self.workloads)
        for reading in self.readings:
            top = reading.limit - reading.reserve
            top += ROUNDING * abs(top)
            fitted = self.lines.get(reading.key)
            if fitted is None:
                if reading.used + float(self._typical(reading) @ more) > top:
                    yield reading.key
            elif float(fitted.slopes @ more) > 0:
                then = self.counts + more
                if fitted.at(then) + fitted.reading_margin(then) > top:
                    yield reading.key

    def _forecast(self, reading: Reading) -> CeilingForecast:
        fitted = self.lines.get(reading.key)
        return self._from_typical(reading) if fitted is None else self._from_line(reading, fitted)

    def _from_line(self, reading: Reading, fitted: Line) -> CeilingForecast:
        direction = mix(self.workloads)
        slope = float(fitted.slopes @ direction)
        doubt = slope_margin(fitted, direction)
        if slope <= 0.5 * doubt or slope <= 0:
            # What else the host does may hide the cost.
            hidden = float(self._typical(reading) @ direction) <= slope + doubt
            return self._from_typical(reading) if hidden else _entry(reading, math.inf, math.inf, math.inf)
        room = reading.limit - reading.reserve - fitted.at(self.counts)
        counts = until_taken(self.counts, direction, fitted.slopes, room)
        total = whole(float(counts.sum()), self.workloads, self.counts, fitted.slopes, room)
        margin = fitted.margin(np.maximum(counts, self.counts)) / slope
        # What is alive fits: the interval does not reach below it.
        low = min(total, max(total - margin, float(self.counts.sum())))
        return _entry(reading, total, low, total + margin)

    def _from_typical(self, reading: Reading) -> CeilingForecast:
        direction, version = mix(self.workloads), self.cgroup_version
        expected = [expected_cost(each, *reading.key, cgroup_version=version) for each in self.workloads]
        costs = np.array([(each.cost, each.high, each.low) for each in expected]).T
        if float(costs[0] @ direction) <= 0:
            return _entry(reading, math.inf, math.inf, math.inf)
        count, *ends = (float(until_taken(self.counts, direction, each, reading.room).sum()) for each in costs)
        return _entry(reading, count, *sorted(ends), typical=True)

    def _typical(self, reading: Reading) -> Array:
        """The least that is to be expected: an instance is not held back by what it may turn out not to take."""
        return np.array(
            [
                typical_cost(workload, reading.ceiling, reading.subject, cgroup_version=self.cgroup_version)
                for workload in self.workloads
            ]
        )


def outlook(state: RunState, *, values: Mapping[str, float], workloads: Sequence[Workload], bounds: Bounds) -> Outlook:
    """The outlook from what a run has measured so far.

    Args:
        state: its points and what is alive.
        values: the host's last values, for limits and present use.
        workloads: with their shares, which are the mix of what is to come.
        bounds: the reserve is taken off each limit.
    """
    known = fits(state, workloads, bounds)
    return Outlook(
        tuple(workloads),
        tuple(reading for reading in readings(values, bounds) if not BY_ID[reading.ceiling].soft),
        known.lines,
        counts_vector(state.alive_by_workload, workloads),
        float(state.host_facts.get("cgroup_version", 2)),
        known.dearest,
        known.moved,
    )


def _entry(reading: Reading, count: float, low: float, high: float, *, typical: bool = False) -> CeilingForecast:
    """Uses that hardly grow lead past every number: then nothing is said of count or end."""
    if not math.isfinite(count):
        count = low = high = math.inf
    elif not (math.isfinite(low) and math.isfinite(high)):
        low, high = min(count, low if math.isfinite(low) else 0.0), math.inf
    known = (reading.ceiling, reading.subject, reading.used, reading.limit, reading.reserve)
    return CeilingForecast(*known, snapped(count), snapped(low), snapped(high), typical)
