"""The three numbers of a run: hard, slo, recommended; a pure function of its state."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.events import CeilingForecast, WaveSettled
from density.profile.spec import Objectives
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
    """The most that kept every objective, below every count that missed one.

    A forecast of the hard ceilings says nothing of objectives: where one may be missed sooner the more there are, what
    was tried counts.
    """
    kept = [point for point in state.settled if keeps_objectives(point, bounds)]
    missed = [_count(point) for point in state.settled if not keeps_objectives(point, bounds)]
    if not missed and hard.kind == "forecast" and not _grow_with_the_count(bounds.objectives):
        return hard
    below = min(missed, default=math.inf)
    best = max((point for point in kept if _count(point) < below), key=_count, default=None)
    return _observed(best.counts if best else {})


def _grow_with_the_count(objectives: Objectives) -> bool:
    """Whether an objective is set that more instances may miss, beside failures and the tester's own lag."""
    chance = {"failures_share", "tester_lag_seconds"}
    return any(value is not None for name, value in asdict(objectives).items() if name not in chance)


def _count(point: WaveSettled) -> int:
    return sum(point.counts.values())


def _objectives(point: WaveSettled, bounds: Bounds) -> dict[str, Reading]:
    """The objectives that were measured at this settled point, by their ids."""
    return {each.ceiling: each for each in readings(point.values, bounds) if BY_ID[each.ceiling].soft}


def keeps_objectives(point: WaveSettled, bounds: Bounds) -> bool:
    """Whether no objective was missed at this settled point; what was not measured was not missed."""
    return all(reading.room >= 0 for reading in _objectives(point, bounds).values())


def most_kept(settled: Sequence[WaveSettled], bounds: Bounds) -> int:
    """The most instances at a settled point at which all objectives that the run could measure were seen to be kept."""
    measured = [(point, _objectives(point, bounds)) for point in settled]
    every = {name for _, objectives in measured for name in objectives}
    kept = (_count(point) for point, found in measured if set(found) == every and keeps_objectives(point, bounds))
    return max(kept, default=0)


def _recommended(state: RunState, slo: Capacity) -> Capacity:
    """What survived the hold with objectives and reserve kept; never more than what had kept them before."""
    if state.held is None:
        return _observed({})
    survived = _observed(state.held.counts_after)
    return slo if slo.kind == "observed" and slo.count < survived.count else survived
