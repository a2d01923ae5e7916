"""How long a run will probably still take, by its state and the shape of its ramp; as rough as `density.live.waves`."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from density.capacity.typical import typical_launch_seconds
from density.live.waves import ended_in_wave, is_going_on, search_left, to_come, to_launch
from density.live.words import to_remove
from density.profile.spec import Ramp
from density.state import RunState

RECENT = 3
"""Waves whose pace counts: launches become slower as a host fills."""
REMOVAL = 0.2
"""Removing, as a share of the time that launching took; measured 0.1 to 0.4 with containers, less with VMs."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things took in the last waves.

    Attributes:
        launch_seconds: one instance more, launched together with others.
        settle_seconds: one settling time; between the profile's and the last ones, as each wave adds a smaller share.
    """

    launch_seconds: float
    settle_seconds: float


def seconds_left(ramp: Ramp, state: RunState) -> float | None:
    """About how long until the run is over, from `state.now`; None while too little is known to say anything."""
    match state.stage:
        case "done":
            return 0.0
        case "teardown":
            return _removal_left(ramp, state)
        case "hold":
            return _hold_left(ramp, state) + _removal(_pace(ramp, state), state.alive)
        case "calibrate":
            return _growth_left(ramp, state) if state.forecast else None
        case "ramp" | "search":
            return _growth_left(ramp, state)
        case _:
            return None


def done_share(state: RunState, left: float) -> float:
    """The part of the run's whole time that is over, 0 to 1, if `left` seconds of it are left."""
    over = max(state.now - state.started_at, 0.0)
    return over / (over + left) if over + left else 0.0


def _growth_left(ramp: Ramp, state: RunState) -> float | None:
    pace, ahead = _pace(ramp, state) or _expected_pace(ramp, state), to_come(ramp, state)
    if ahead is None:
        return None
    seconds = _wave_left(state, pace)
    if state.stage == "search":
        # One rest more: at its end a search goes back to the most that kept every objective.
        left = search_left(state)
        seconds += left.instances * pace.launch_seconds + (left.waves + 1) * pace.settle_seconds
    else:
        seconds += ahead.instances * pace.launch_seconds + ahead.waves * pace.settle_seconds
        if ramp.max_seconds:
            seconds = min(seconds, max(ramp.max_seconds - (state.now - state.started_at), 0.0))
    return seconds + ramp.hold_seconds + _removal(pace, max(state.target, state.alive) + ahead.instances)


def _pace(ramp: Ramp, state: RunState) -> Pace | None:
    launched, seconds = 0, 0.0
    # Those of a search launch what was removed just before, which the counts at rest do not show.
    grown = [wave for wave in state.settled if state.outcome is None or wave.at <= state.outcome.at]
    for before, wave in list(pairwise(grown))[-RECENT:]:
        launched += max(wave.count - before.count, 0) + sum(wave.failed.values())
        seconds += max(wave.since - before.at, 0.0)
    if is_going_on(state):
        launched += ended_in_wave(state)
        seconds += max(state.last_ready_at - state.wave_started_at, 0.0)
    if not launched:
        return None
    settled = [wave.at - wave.since for wave in state.settled[1:]][-RECENT:]
    return Pace(seconds / launched, (fmean(settled or [ramp.settle_seconds]) + ramp.settle_seconds) / 2)


def _expected_pace(ramp: Ramp, state: RunState) -> Pace:
    """Before anything was launched."""
    workloads = [each.workload for each in state.workloads.values()]
    seconds = sum(each.share * typical_launch_seconds(each) for each in workloads)
    return Pace(seconds / sum(each.share for each in workloads), ramp.settle_seconds)


def _wave_left(state: RunState, pace: Pace) -> float:
    """What is left of the current wave: its launches, or its settling time."""
    if not is_going_on(state):
        return 0.0
    if missing := to_launch(state):
        return missing * pace.launch_seconds + pace.settle_seconds
    return max(pace.settle_seconds - (state.now - state.last_ready_at), 0.0)


def _hold_left(ramp: Ramp, state: RunState) -> float:
    """Of the hold that goes on; whether it has to be repeated nobody knows."""
    if state.hold is None:
        return 0.0
    return max(ramp.hold_seconds - (state.now - state.hold.began_at), 0.0)


def _removal(pace: Pace | None, alive: int) -> float:
    """What removing so many will take, before any was removed."""
    return REMOVAL * alive * pace.launch_seconds if pace else 0.0


def _removal_left(ramp: Ramp, state: RunState) -> float:
    left = to_remove(state)
    gone = sum((state.alive_at_end or {}).values()) - left
    return left * (state.now - _last_step(state)) / gone if gone > 0 else _removal(_pace(ramp, state), left)


def _last_step(state: RunState) -> float:
    """When the hold or the removal began: with whatever came last before it."""
    events = (state.held, state.outcome, *state.settled[-1:])
    return max((event.at for event in events if event), default=state.started_at)
