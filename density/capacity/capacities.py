"""The three numbers of a run: hard, slo, recommended; a pure function of its state."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from density.capacity.deaths import died_out
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.catalog.objectives import BY_FIELD, BY_WORKLOAD, OBJECTIVES, TESTER_LAG, TIMED
from density.ceilings.reading import Bounds, Reading
from density.ceilings.verdict import NOBODY
from density.events import CeilingForecast, Held, Stopped, WaveSettled
from density.evidence import Judged
from density.profile.spec import Objectives
from density.shares import share_out
from density.state import RunState
from density.statistics import floored
from density.units import format_count


@dataclass(frozen=True, slots=True)
class Capacity:
    """A count of instances.

    Attributes:
        kind: `observed` where it really ran, `forecast` where more would fit than ran, `not tried` where nothing is
            known, such as of a hold that never came; `not measured` where an objective could not be; `not sustained`
            where every hold failed; then the counts are 0.
        low, high: 95 % interval; equal to count where observed.
        per_workload: the same count by workload.
        at_least: whether more may well be possible: what ended the run was the person's bound (max, duration, list of
            waves, interruption), an error, failures that no ceiling explains or, for `hard`, an objective; nothing that
            was measured says that it is all.
        why: why there is no count, where more is to be said of it than its kind.
    """

    count: int
    kind: Literal["observed", "forecast", "not tried", "not measured", "not sustained"]
    low: int
    high: int
    per_workload: Mapping[str, int] = field(default_factory=dict)
    at_least: bool = False
    why: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a count at all."""
        return self.kind in {"observed", "forecast"}


@dataclass(frozen=True, slots=True)
class Capacities:
    """hard: the most that ran, or would; slo: with every objective kept; recommended: held, with reserve."""

    hard: Capacity
    slo: Capacity
    recommended: Capacity


CLOSE = 0.01
"""A count that kept every objective and one that did not are next to each other within this share, or one instance."""
NOT_TRIED = Capacity(0, "not tried", 0, 0)
NOT_MEASURED = Capacity(0, "not measured", 0, 0)


def capacities(state: RunState, bounds: Bounds) -> Capacities:
    """From the state at the end of a run."""
    hard = _hard(state)
    if gone := died_out(state):
        none = replace(NOT_TRIED, kind="not sustained", why="; ".join(each.sentence for each in gone))
        return Capacities(hard, none, none)
    slo = _slo(state, bounds, hard)
    return Capacities(hard, slo, _recommended(state, slo, hard))


def _observed(counts: Mapping[str, int]) -> Capacity:
    total = sum(counts.values())
    return Capacity(total, "observed", total, total, dict(counts))


def _forecast(state: RunState, ceiling: CeilingForecast) -> Capacity:
    count = max(0, floored(ceiling.count, unknown=0))
    low = min(count, max(sum(most_that_ran(state).values()), floored(ceiling.low, unknown=0)))
    high = floored(ceiling.high, unknown=2 * count)
    workloads = [each.workload for each in state.workloads.values()]
    return Capacity(count, "forecast", low, high, share_out(count, workloads))


def _hard(state: RunState) -> Capacity:
    """What the host takes: what ran where a hard ceiling ended the ramp, else the forecast, else at least what ran.

    A ramp that an error ended promises no more than what ran, nor does one whose last wave failed as a whole.
    """
    nearest = state.forecast[0] if state.forecast else None
    failed = state.outcome is not None and state.outcome.outcome == "error"
    unexplained = failed_by_themselves(state) and not state.wave_seen().ready
    if (
        failed
        or unexplained
        or is_reached(state)
        or nearest is None
        or not is_measured(nearest)
        or nearest.count < state.peak.count
    ):
        ran = _observed(most_that_ran(state))
        return replace(ran, at_least=ran.count > 0 and not is_reached(state))
    return _forecast(state, nearest)


def is_reached(state: RunState) -> bool:
    """Whether the host itself ended the ramp: a hard ceiling, also by launches that it explains."""
    outcome = state.outcome
    if outcome is None or outcome.outcome != "ceiling":
        return False
    return not outcome.ceiling or not BY_ID[outcome.ceiling].soft


def failed_by_themselves(state: RunState) -> bool:
    """Whether instances that failed or were lost ended the ramp, and no ceiling explains it."""
    outcome = state.outcome
    return outcome is not None and outcome.by_failures and (outcome.ceiling, outcome.subject) == NOBODY


def is_measured(ceiling: CeilingForecast) -> bool:
    """Whether the run itself knows at which count this ceiling ends it: expected costs promise nothing."""
    return math.isfinite(ceiling.count) and not ceiling.typical and not ceiling.is_vague


def most_that_ran(state: RunState) -> Mapping[str, int]:
    """By workload, the most that ran together.

    A death is told late: who came up meanwhile was counted beside the dead, so then rest counts.
    """
    if not any(workload.lost for workload in state.workloads.values()):
        return state.peak.per_workload
    return max((point.counts for point in state.settled), key=lambda counts: sum(counts.values()), default={})


def _slo(state: RunState, bounds: Bounds, hard: Capacity) -> Capacity:
    """The most that was seen to keep every objective, below every count that missed one.

    A forecast of the hard ceilings says nothing of objectives: where one may be missed sooner the more there are, or
    failures ended the ramp before they were judged, what was tried counts.
    """
    missed = missed_counts(state, bounds)
    sooner = _grow_with_the_count(bounds.objectives) or _failed_too_often(state, bounds.objectives)
    if not missed and hard.kind == "forecast" and not sooner:
        return hard
    below = min(missed, default=math.inf)
    known = Judged.PLAUSIBLE if missed else Judged.SPARSE
    kept = [point for point in _kept(state.settled, bounds, known) if 0 < point.count < below]
    if kept or below <= 1:
        counts = [point.counts for point in kept] + ([*_sustained(state)] if kept else [])
        lower = (each for each in counts if sum(each.values()) < below)
        found = _observed(max(lower, key=lambda each: sum(each.values()), default={}))
        open_ = not is_reached(state) if below == math.inf else below - found.count > max(1, CLOSE * found.count)
        return replace(found, at_least=open_)
    tried = any(point.count for point in state.settled)
    return NOT_MEASURED if tried else NOT_TRIED


def _failed_too_often(state: RunState, objectives: Objectives) -> bool:
    """Whether failures that nothing explains ended the ramp, more of them than are allowed, though too few to judge."""
    failed = sum(each.failed for each in state.workloads.values())
    launched = failed + sum(each.ready for each in state.workloads.values())
    allowed = objectives.failures_share
    return failed_by_themselves(state) and allowed is not None and failed > allowed * launched


def _grow_with_the_count(objectives: Objectives) -> bool:
    """Whether an objective is set that more instances may miss, beside failures and the tester's own lag."""
    chance = {"failures_share", "tester_lag_seconds"}
    return any(value is not None for name, value in asdict(objectives).items() if name not in chance)


def missed_counts(state: RunState, bounds: Bounds) -> list[int]:
    """The counts that violated an objective, at rest or held, and those that a search has given up."""
    ended = state.outcome.at if state.outcome else math.inf
    tried = (point for point in _last_of_each(state.settled, bounds) if point.at > ended)
    return [
        *(point.count for point in state.settled if violated(point, bounds, state.outcome)),
        *(point.count for point in tried if not keeps(point, bounds)),
        *(sum(held.counts_before.values()) for held in state.holds if missed_in(held)),
    ]


def missed_in(held: Held) -> list[str]:
    """The objectives that a hold has shown not to be kept with its count.

    Where density itself was late, or did not run, what it measured by time is in doubt.
    """
    doubted = {TESTER_LAG, *TIMED} if TESTER_LAG in held.ceilings or held.unwatched else set()
    return [each for each in held.ceilings if BY_ID[each].soft and each not in doubted]


def _sustained(state: RunState) -> Iterable[Mapping[str, int]]:
    """The counts of holds through which every objective was kept."""
    return (held.counts_after for held in state.holds if held.kept)


def _last_of_each(settled: Sequence[WaveSettled], bounds: Bounds) -> Iterable[WaveSettled]:
    """The last point at rest of each count: what was measured again was measured by more."""
    return {point.count: point for point in settled if not unmeasured(point, bounds)}.values()


def _kept(settled: Sequence[WaveSettled], bounds: Bounds, known: Judged) -> list[WaveSettled]:
    return [point for point in _last_of_each(settled, bounds) if keeps(point, bounds, known)]


def _objectives(point: WaveSettled, bounds: Bounds) -> list[Reading]:
    """The objectives that were measured at this settled point."""
    return list(readings(point.values, bounds, OBJECTIVES))


def violated(point: WaveSettled, bounds: Bounds, outcome: Stopped | None = None) -> list[Reading]:
    """The objectives that are known to be violated at this settled point.

    Where density itself was late, that is a doubt about what was measured by time, and nothing about the count; it
    counts where it ended the run.
    """
    found = [reading for reading in _objectives(point, bounds) if reading.state is Judged.VIOLATED]
    late = any(reading.ceiling == TESTER_LAG for reading in found)
    if not late or (outcome is not None and outcome.ceiling == TESTER_LAG):
        return found
    return [reading for reading in found if reading.ceiling not in {TESTER_LAG, *TIMED}]


def unmeasured(point: WaveSettled, bounds: Bounds) -> list[tuple[str, str]]:
    """The objectives that are set and could not be measured at this settled point, and of which workload that ran.

    Pings are asked of the workloads that answer them; where none of those ran, they were not measured at all.
    """
    measured = {reading.key for reading in _objectives(point, bounds)}
    wanted = [BY_FIELD[field] for field, value in asdict(bounds.objectives).items() if value is not None]
    ran = [workload for workload, count in point.counts.items() if count]
    asked = dict.fromkeys(BY_WORKLOAD, ran)
    asked["slo.probe"] = [workload for workload in ran if workload not in bounds.silent] or ran
    keys = [(ceiling, subject) for ceiling in wanted for subject in asked.get(ceiling, [""])]
    return [key for key in keys if key not in measured]


def keeps(point: WaveSettled, bounds: Bounds, known: Judged = Judged.PLAUSIBLE) -> bool:
    """Whether every objective was measured at this settled point, and at least so much is known of each."""
    return all(reading.state >= known for reading in _objectives(point, bounds)) and not unmeasured(point, bounds)


def most_kept(settled: Sequence[WaveSettled], bounds: Bounds) -> int:
    """The most instances at a settled point that was seen to keep every objective, by more than a few trials."""
    return max((point.count for point in _kept(settled, bounds, Judged.PLAUSIBLE)), default=0)


def _recommended(state: RunState, slo: Capacity, hard: Capacity) -> Capacity:
    """What the last hold sustained with objectives and reserve kept; never more than what had kept them before."""
    if state.held is None:
        return NOT_TRIED
    if not state.held.kept:
        return replace(NOT_TRIED, kind="not sustained", why=f"{_times(len(state.holds))}: {failure(state.held)}")
    sustained = _observed(state.held.counts_after)
    if slo.kind == "observed" and slo.count < sustained.count:
        return slo
    bound = slo if slo.kind == "observed" else hard
    return replace(sustained, at_least=len(state.holds) == 1 and (bound.at_least or bound.kind == "forecast"))


def failure(held: Held) -> str:
    """What went wrong in a hold: `1 of 30 died; slo.probe at 900 ms of 50 ms`."""
    before = sum(held.counts_before.values())
    died = [f"{format_count(held.died)} of {format_count(before)} died"] if held.died else []
    return f"with {format_count(before)} instances, {'; '.join((*died, *held.missed))}"


def _times(holds: int) -> str:
    return "the hold failed" if holds == 1 else f"{holds} holds failed, the last one"
