"""The waves of a run: what is left of the current one, and how many will probably follow.

Rough on purpose. A ceiling's forecast moves, and nobody knows beforehand whether an objective will be missed, so this
is for a person who wants to know whether to wait; the run itself decides nothing by it.
"""

import math
from typing import NamedTuple

from density.capacity.capacities import missed_counts, most_kept
from density.metrics.current import bounds_of_run
from density.profile.spec import Ramp
from density.ramp.decide import CONVERGED_POINTS, EXPLORE, GRAIN, is_tight
from density.ramp.search import FRESH, Bisection
from density.ramp.shape import size
from density.state import RunState

FORESEEN = 200
"""Waves that are looked at one by one; more of them go on like the last."""


class ToCome(NamedTuple):
    """What is to be launched after the current wave."""

    waves: int
    instances: int


def is_going_on(state: RunState) -> bool:
    """Whether the current wave has not settled yet."""
    return state.wave > (state.settled[-1].wave if state.settled else 0)


def ended_in_wave(state: RunState) -> int:
    """Launches of the current wave that came to an end, ready or failed."""
    return state.ready_in_wave + state.failed_in_wave.total()


def to_launch(state: RunState) -> int:
    """Launches of the current wave that have not come to an end."""
    return max(sum(state.wave_sizes.values()) - ended_in_wave(state), 0) if is_going_on(state) else 0


def all_waves(ramp: Ramp, state: RunState) -> int | None:
    """How many waves there will have been at the end of this stage, from the run's first; None: nobody knows yet."""
    if state.stage == "calibrate":
        return max(_calibrations(ramp, state), state.wave)
    if state.stage == "search":
        return state.wave + search_left(state).waves
    ahead = to_come(ramp, state)
    return state.wave + ahead.waves if ahead else None


def to_come(ramp: Ramp, state: RunState) -> ToCome | None:
    """The ramp's waves after the current one, if the forecast holds; None while it is too vague to go by.

    By the rules of `density.ramp.decide`.
    """
    if state.outcome is not None:
        return ToCome(0, 0)
    nearest = next((ceiling for ceiling in state.forecast if math.isfinite(ceiling.count)), None)
    if nearest and nearest.is_vague:
        return None
    began_with = alive = max(state.target, state.alive) if is_going_on(state) else state.alive
    most = math.floor(min(ramp.max_instances, max(nearest.count, 0.0) if nearest else math.inf))
    tight = nearest is None or is_tight(nearest)
    points = len(state.settled) + is_going_on(state)
    index = max(state.wave - _calibrations(ramp, state), 0)
    for waves in range(FORESEEN):
        left = most - alive
        wanted = size(ramp, index + waves)
        converged = ramp.until == "forecast" and tight and points + waves >= CONVERGED_POINTS
        if converged or left < 1 or left < GRAIN * alive or wanted is None:
            return ToCome(waves, alive - began_with)
        # A wave more narrows a forecast a lot, as a rule, so this is planned for the next one alone.
        wave = min(wanted, left if tight else max(1, math.floor(EXPLORE * left)))
        tight = True
        alive += wave
    return ToCome(FORESEEN + (most - alive) // wave, most - began_with)


def search_left(state: RunState) -> ToCome:
    """The tries that a search still needs, and their launches, if none of them keeps the objectives.

    That is the longest way where few instances do, since each of these counts is launched several times.
    """
    bounds = bounds_of_run(state)
    known = Bisection(most_kept(state.settled, bounds), min(missed_counts(state, bounds), default=0))
    had = sum(state.launches_measured.values()) - (ended_in_wave(state) if is_going_on(state) else 0)
    waves = launches = 0
    while step := known.next():
        each = step.target - step.back
        repeated = step.target == state.settled[-1].count
        few = max(FRESH - had, 1) if repeated else FRESH
        rounds = math.ceil(few / each) if bounds.objectives.by_launches else 1
        waves, launches = waves + rounds, launches + rounds * each
        known = known.after(step.target, kept=False)
    return ToCome(waves - min(waves, is_going_on(state)), launches)


def _calibrations(ramp: Ramp, state: RunState) -> int:
    return len(state.workloads) if ramp.calibrate else 0
