"""What comes next: another wave, and how large, or the end and why."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from density.capacity.forecast import Outlook, outlook
from density.capacity.outlook import Key
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.catalog.objectives import OBJECTIVES, TESTER_LAG, TIMED
from density.ceilings.errors import EXHAUSTION
from density.ceilings.reading import Bounds, Reading, silent_of
from density.ceilings.verdict import MOMENTARY, NOBODY, is_engines, likeliest, suspects
from density.events import CeilingForecast, OutcomeName
from density.evidence import Judged
from density.model import INTERNAL, OWN_FAULTS
from density.profile.spec import Profile, Ramp
from density.ramp.shape import size
from density.shares import split
from density.state import RunState, WaveSeen
from density.units import format_count, format_counted, format_value

MANY_FAILED = 0.1
FEW_FAILED = 3
"""A wave ends the ramp, whatever the reason of its failures, where none of it got ready, or more than this share and at
least this many failed: one of four is chance."""
CONVERGED = 0.02
"""A forecast whose interval is within ± this share of the count has converged."""
CONVERGED_POINTS = 5
EXPLORE = 1 / 8
"""While the interval is wider than CONVERGED, a wave takes at most this share of what the estimate leaves."""
SEVERAL = 3
LIKELY = 0.9
"""Odds of a ceiling that explains what failed, above which even one failure ends the ramp."""
GRAIN = 0.0075
"""A wave that would add less than this share is not worth its time."""
PAST = 3
"""How many instances a wave may aim past a harmless ceiling, where reaching it is wanted (`until = "failure"`)."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch a wave of `count` instances."""

    count: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the ramp.

    Attributes:
        ceiling, subject: what bound, where a ceiling did.
        surge: launches in flight ran into it for a moment, while at rest there is room for more: with fewer at once the
            ramp may go on.
        by_failures: instances that failed or were lost ended it, and the ceiling is what explains them best.
        doubtful: the ceiling is far away, and only an interval that something else than the instances made wide reaches
            it: so many may be launched all the same, once a second rest says the same.
        engine: the one that cannot launch any more, where that is the reason (outcome `error`).
    """

    outcome: OutcomeName
    reason: str
    ceiling: str = ""
    subject: str = ""
    surge: bool = False
    by_failures: bool = False
    doubtful: int = 0
    engine: str = ""


def bounds_of(profile: Profile) -> Bounds:
    """The reserve and objectives that every reading is held against."""
    return Bounds(profile.reserve, profile.objectives, silent_of(profile.workloads))


def look_ahead(profile: Profile, state: RunState) -> Outlook:
    """What is known of every hard ceiling, from what the state knows."""
    return outlook(state, values=state.values(), workloads=profile.workloads, bounds=bounds_of(profile))


def decide(profile: Profile, state: RunState, wave: int) -> Launch | Stop:
    """The next step, from the state after the last wave settled and its forecast.

    Args:
        profile: what was asked for.
        state: everything known; its `forecast` is the current one.
        wave: number of the wave that would come next, from 0.
    """
    bounds = bounds_of(profile)
    current = list(readings(state.values(), bounds))
    missed = _objective(state, bounds) if profile.ramp.until != "failure" else None
    if missed and missed.surge:
        missed = _spent(profile.ramp, state) or missed
    stop = (
        _failures(profile, state)
        or _crossed(current)
        or missed
        or (_converged(state) if profile.ramp.until == "forecast" else None)
        or _spent(profile.ramp, state)
    )
    return stop or _grow(profile, state, wave)


def crossed_reserve(values: Sequence[Reading]) -> Reading | None:
    """The lethal ceiling whose reserve is touched now, if any: no launch may follow."""
    return next((reading for reading in values if _is_lethal(reading.key) and reading.room < 0), None)


def _failures(profile: Profile, state: RunState) -> Stop | None:
    """The end of a ramp by what failed: a ceiling explains it, or it is too much of it, or the engine is at fault.

    An instance that met a limit of its own says nothing of the host: few of them, among many that go on, end no ramp.
    """
    wave, bounds = state.wave_seen(), bounds_of(profile)
    if not wave.ended:
        return None
    ahead = look_ahead(profile, state)
    costs = ahead.costs()
    found = suspects(state, bounds, costs, ahead.typical)
    bound = likeliest(found)
    hosts = not BY_ID[bound[0]].own
    exhausted = any(each.failure.kind in EXHAUSTION and not each.failure.own_limits for each in wave.ended)
    explained = hosts and found and found[0].odds > LIKELY
    if not (exhausted or explained or _many(state) or _none(state)):
        return None
    if bound == NOBODY and (engine := _engine_at_fault(profile, wave)):
        what = "it cannot launch any more" if state.failed_in_wave else "it does not keep what it runs"
        return Stop("error", f"{what}: {_told(state)}", engine=engine)
    surge = wave.kinds.keys() <= MOMENTARY and _has_room(state, bounds, bound, costs)
    return Stop("ceiling", _told(state), *bound, surge=surge, by_failures=True)


def is_explained(profile: Profile, state: RunState) -> bool:
    """Whether a ceiling of the host or of the instances themselves explains what failed in the current wave."""
    stop = _failures(profile, state)
    return stop is not None and stop.outcome == "ceiling" and (stop.ceiling, stop.subject) != NOBODY


def _many(state: RunState) -> bool:
    kinds = state.failed_in_wave + state.lost_in_wave
    for kind in OWN_FAULTS:
        del kinds[kind]
    return kinds.total() >= FEW_FAILED and kinds.total() > MANY_FAILED * _ended(state)


def _none(state: RunState) -> bool:
    return _ended(state) > 0 and not state.ready_in_wave


def _ended(state: RunState) -> int:
    """Launches of the wave that came to an end, but for those that density's own faults ended."""
    return state.ready_in_wave + state.failed_in_wave.total() - state.failed_in_wave[INTERNAL]


def _engine_at_fault(profile: Profile, wave: WaveSeen) -> str:
    """The engine that most of what failed says cannot launch; empty where none.

    It says so by its own words, or by a time that ran out before anything was started.
    """
    engines = {workload.name: workload.engine for workload in profile.workloads}
    unable = Counter(engines.get(each.workload, "") for each in wave.ended if is_engines(each))
    engine, count = next(iter(unable.most_common(1)), ("", 0))
    return engine if 2 * count > len(wave.ended) else ""


def _told(state: RunState) -> str:
    """What failed, in one sentence."""
    kinds = state.failed_in_wave + state.lost_in_wave
    words = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
    said = next((change.failure.message for change in reversed(state.last_failures) if change.failure), "")
    failed = (
        f"{state.failed_in_wave.total()} of {_ended(state)} launches of the wave failed" if state.failed_in_wave else ""
    )
    lost = format_counted(state.lost_in_wave.total(), "instance was lost", "instances were lost")
    what = " and ".join(filter(None, (failed, lost if state.lost_in_wave else "")))
    return f"{what}: {words} ({said})"


def _has_room(state: RunState, bounds: Bounds, key: Key, costs: Mapping[Key, float]) -> bool:
    """Whether several more instances would fit under this ceiling, by what was read at rest."""
    at_rest = readings(state.settled[-1].values, bounds)
    reading = next((reading for reading in at_rest if reading.key == key), None)
    cost = costs.get(key, 0.0)
    return reading is not None and cost > 0 and reading.limit - reading.used > SEVERAL * cost


def _crossed(current: Sequence[Reading]) -> Stop | None:
    reading = crossed_reserve(current)
    if reading is None:
        return None
    return Stop("ceiling", f"the reserve is reached: {describe(reading)}", *reading.key)


def _objective(state: RunState, bounds: Bounds) -> Stop | None:
    """Objectives are judged by what was measured at rest: while launching, the launches are what is felt.

    A tester that was late may have launched too many at once, or the host stood still for a moment; then whatever was
    measured by time meanwhile is in doubt.
    """
    found = [each for each in readings(state.settled[-1].values, bounds, OBJECTIVES) if each.state is Judged.VIOLATED]
    late = any(reading.ceiling == TESTER_LAG for reading in found)
    for reading in sorted(found, key=lambda reading: reading.ceiling in {TESTER_LAG, *TIMED} and late):
        said = f"an objective was missed with {format_count(state.alive)} ready: {describe(reading)}"
        return Stop("ceiling", said, *reading.key, surge=late and reading.ceiling in {TESTER_LAG, *TIMED})
    return None


def _converged(state: RunState) -> Stop | None:
    if len(state.settled) < CONVERGED_POINTS or not state.forecast:
        return None
    nearest = state.forecast[0]
    if not math.isfinite(nearest.count) or not is_tight(nearest):
        return None
    launched = format_counted(state.alive, "instance", "instances")
    unverified = f"nothing beyond {launched} was launched, so that straight lines go on is not verified"
    whole, low, high = (format_count(math.floor(end)) for end in (nearest.count, nearest.low, nearest.high))
    count = f"{whole} ({low} to {high})"
    reason = f"the forecast has converged: {nearest.ceiling} at {count}; {unverified}"
    return Stop("forecast", reason, nearest.ceiling, nearest.subject)


def _spent(ramp: Ramp, state: RunState) -> Stop | None:
    if state.alive >= ramp.max_instances:
        alive = format_counted(state.alive, "instance is alive", "instances are alive")
        return Stop("max", f"{alive}, as many as the profile's max")
    if is_over(ramp, state, now=state.now):
        return Stop("duration", f"the ramp's time of {ramp.max_seconds:.0f} s is over")
    return None


def is_over(ramp: Ramp, state: RunState, *, now: float) -> bool:
    """Whether the ramp's time is over then: no wave, no step of the search and no other hold may begin."""
    return bool(ramp.max_seconds) and now - state.started_at >= ramp.max_seconds


def _grow(profile: Profile, state: RunState, wave: int) -> Launch | Stop:
    ramp = profile.ramp
    wanted = size(ramp, wave)
    if wanted is None:
        return Stop("max", "the profile's list of waves is done")
    wanted = min(wanted, ramp.max_instances - state.alive)
    for ceiling in state.forecast:
        if not _binds(_key(ceiling), ramp):
            wanted = min(wanted, max(1, _floor(ceiling.count) - state.alive + PAST))
        elif not is_tight(ceiling):
            wanted = min(wanted, max(1, _floor(EXPLORE * (ceiling.count - state.alive))))
    return _fitting(wanted, profile, state, look_ahead(profile, state))


def _fitting(wanted: int, profile: Profile, state: RunState, ahead: Outlook) -> Launch | Stop:
    """As many of the wanted as cross no reserve, or the ceiling that lets not even one in."""

    def crossed(count: int) -> list[Key]:
        sizes = split(count, profile.workloads, state.alive_by_workload)
        return [key for key in ahead.crossed_by(sizes) if _binds(key, profile.ramp)]

    if first := crossed(1):
        nearest = next(c for c in state.forecast if (c.ceiling, c.subject) in first)
        reason = f"the next instance would not fit: {_nearness(nearest)}"
        return Stop("ceiling", reason, *_key(nearest), doubtful=_doubtful(ahead, first, wanted, least=1))
    low, high = 1, wanted
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (low, middle - 1) if crossed(middle) else (middle, high)
    if low < wanted and low < GRAIN * state.alive:
        first = crossed(low + 1)
        nearest = next(c for c in state.forecast if _key(c) in first)
        reason = f"less than {GRAIN:.2%} more would fit: {_nearness(nearest)}"
        return Stop("ceiling", reason, *_key(nearest), doubtful=_doubtful(ahead, first, wanted, least=low + 1))
    return Launch(low)


def _doubtful(ahead: Outlook, keys: Sequence[Key], wanted: int, *, least: int) -> int:
    """How many to launch all the same, where every ceiling that is said to be in the way is far away; else 0."""
    fit = min(ahead.far_from(key, least) for key in keys)
    return min(wanted, max(least, math.floor(EXPLORE * fit))) if fit else 0


def _binds(key: Key, ramp: Ramp) -> bool:
    """Whether a ramp keeps away from this ceiling: from lethal ones always, from others unless they are wanted."""
    return _is_lethal(key) or ramp.until != "failure"


def _is_lethal(key: Key) -> bool:
    ceiling, subject = key
    return BY_ID[ceiling].is_lethal(subject)


def _key(ceiling: CeilingForecast) -> Key:
    return ceiling.ceiling, ceiling.subject


def _floor(count: float) -> int:
    return math.floor(min(count, 2**31))


def is_tight(ceiling: CeilingForecast) -> bool:
    """Whether the forecast's interval is within ± CONVERGED of its count."""
    return ceiling.high - ceiling.low <= 2 * CONVERGED * ceiling.count


def describe(reading: Reading) -> str:
    """`tasks.pid_max at 31,204 of 32,768 (reserve 1,600)`."""
    unit = BY_ID[reading.ceiling].unit
    name = f"{reading.ceiling} ({reading.subject})" if reading.subject else reading.ceiling
    kept = f" (reserve {format_value(reading.reserve, unit)})" if reading.reserve else ""
    return f"{name} at {format_value(reading.used, unit)} of {format_value(reading.limit, unit)}{kept}"


def _nearness(ceiling: CeilingForecast) -> str:
    reading = Reading(ceiling.ceiling, ceiling.subject, ceiling.used, ceiling.limit, ceiling.reserve)
    if not math.isfinite(ceiling.count):
        return f"{describe(reading)}, for what else the host does takes more or less of it by the moment"
    return f"{describe(reading)}, reached at {ceiling.count:,.1f} instances"
