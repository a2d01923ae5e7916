"""The three numbers of a run: hard, slo, recommended; a pure function of its state."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds
from density.events import CeilingForecast, WaveSettled
from density.shares import share_out
from density.state import RunState
from density.statistics import floored


@dataclass(frozen=True, slots=True)
class Capacity:
    """A count of instances.

    Attributes:
        kind: `observed` where it really ran, `forecast` where it was not tried.
        low, high: 95 % interval; equal to count where observed.
        per_workload: the same count by workload.
    """

    count: int
    kind: Literal["observed", "forecast"]
    low: int
    high: int
    per_workload: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capacities:
    """hard: the most that ran, or would; slo: with every objective kept; recommended: held, with reserve."""

    hard: Capacity
    slo: Capacity
    recommended: Capacity


def capacities(state: RunState, bounds: Bounds) -> Capacities:
    """From the state at the end of a run."""
    hard = _hard(state)
    slo = _slo(state, bounds, hard)
    return Capacities(hard, slo, _recommended(state, slo))


def _observed(counts: Mapping[str, int]) -> Capacity:
    total = sum(counts.values())
    return Capacity(total, "observed", total, total, dict(counts))


def _forecast(state: RunState, ceiling: CeilingForecast) -> Capacity:
    count = max(0, floored(ceiling.count, unknown=0))
    low = max(0, floored(ceiling.low, unknown=0))
    high = floored(ceiling.high, unknown=2 * count)
    workloads = [each.workload for each in state.workloads.values()]
    return Capacity(count, "forecast", low, high, share_out(count, workloads))


def _hard(state: RunState) -> Capacity:
    outcome = state.outcome
    reached = outcome is not None and outcome.outcome == "ceiling"
    nearest = state.forecast[0] if state.forecast else None
    if reached or nearest is None or not is_measured(nearest) or nearest.count < state.peak.count:
        return _observed(most_that_ran(state))
    return _forecast(state, nearest)


def is_measured(ceiling: CeilingForecast) -> bool:
    """Whether the run itself knows at which count this ceiling ends it: typical costs promise nothing."""
    return math.isfinite(ceiling.count) and not ceiling.typical


def most_that_ran(state: RunState) -> Mapping[str, int]:
    """By workload, the most that ran together.

    A death is told late: who came up meanwhile was counted beside the dead, so then rest counts.
    """
    if not any(workload.lost for workload in state.workloads.values()):
        return state.peak.per_workload
    return max((point.counts for point in state.settled), key=lambda counts: sum(counts.values()), default={})


def _slo(state: RunState, bounds: Bounds, hard: Capacity) -> Capacity:
    kept = [point for point in state.settled if keeps_objectives(point, bounds)]
    missed = len(kept) < len(state.settled)
    if not missed and hard.kind == "forecast":
        return hard
    best = max(kept, key=lambda point: sum(point.counts.values()), default=None)
    return _observed(best.counts if best else {})


def keeps_objectives(point: WaveSettled, bounds: Bounds) -> bool:
    """Whether every objective was kept at this settled point."""
    return all(reading.room >= 0 for reading in readings(point.values, bounds) if BY_ID[reading.ceiling].soft)


def most_kept(settled: Sequence[WaveSettled], bounds: Bounds) -> int:
    """The most instances at a settled point that kept every objective."""
    return max((sum(point.counts.values()) for point in settled if keeps_objectives(point, bounds)), default=0)


def _recommended(state: RunState, slo: Capacity) -> Capacity:
    """What survived the hold with objectives and reserve kept; else what had kept them before."""
    if state.held is None:
        return _observed({})
    survived = _observed(state.held.counts_after)
    if state.held.missed and slo.kind == "observed" and slo.count < survived.count:
        return slo
    return survived
