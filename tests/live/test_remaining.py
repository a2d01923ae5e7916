"""How many waves and how much time are left, held against how runs really went."""

import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulation import simulate

from density.events import Event, Held, InstanceChanged, StageEntered, Stopped, WaveStarted
from density.live.remaining import done_share, seconds_left
from density.live.waves import FORESEEN, all_waves
from density.live.words import about
from density.model import Phase
from density.profile.load import load_profile
from density.profile.spec import Profile, Ramp
from density.state import RunState, fold

RUNS = {
    "to a ceiling": "",
    "to a failure": "ramp.until=failure",
    "to a forecast": "ramp.until=forecast",
    "linear": "ramp.shape=linear ramp.start=10 ramp.step=20",
    "a list": "ramp.shape=list ramp.waves=[20,20,100] ramp.hold=0s",
    "noisy": "simulated.noise=0.02 simulated.memory=64GiB",
    "as many as asked for": "ramp.max=100",
    "for a time": "ramp.max_time=60s",
    "with a search": "objectives.ready_p95=400ms ramp.max=600 simulated.memory=64GiB",
    "without calibration": "ramp.calibrate=0",
}


@cache
def _run(name: str) -> tuple[Profile, tuple[Event, ...]]:
    profile = load_profile("simulated", overrides=RUNS[name].split())
    return profile, tuple(simulate(profile).events)


def _moments(name: str) -> Iterator[tuple[RunState, float]]:
    """The state after each event for which a time is given, and that time.

    Without the instant between the ramp's end and the stage that follows, in which nothing can be drawn.
    """
    profile, events = _run(name)
    state = RunState()
    for event in events:
        state.apply(event)
        left = seconds_left(profile.ramp, state)
        if left is not None and not (state.stage == "ramp" and state.outcome):
            yield state, left


@pytest.mark.parametrize("name", RUNS)
def test_the_estimate_is_near_the_truth(name: str) -> None:
    """After the ramp's first wave it is never wrong by more than a factor of 2.5, give or take ten seconds."""
    _, events = _run(name)
    end, calibrations = events[-1].at, 2
    for state, left in _moments(name):
        if state.wave > calibrations + 1:
            assert 0.4 < (left + 10) / (end - state.now + 10) < 2.5, f"{left} at {state.now}"


@pytest.mark.parametrize("name", ["to a ceiling", "to a failure", "linear", "as many as asked for"])
def test_the_first_estimate_comes_with_the_first_forecast(name: str) -> None:
    """Before the first launch, by stated costs and an expected pace."""
    profile, _ = _run(name)
    first = next(state for state, _ in _moments(name))
    left = seconds_left(profile.ramp, first)
    assert left is not None
    assert first.stage == "calibrate"
    assert not any(workload.launched for workload in first.workloads.values())


@pytest.mark.parametrize("name", ["to a ceiling", "to a failure", "linear", "as many as asked for"])
def test_the_first_estimates_are_of_the_right_order(name: str) -> None:
    """In calibration, before any pace is known, the estimate is within a factor of 4 of the truth."""
    _, events = _run(name)
    end = events[-1].at
    found = [(left + 10) / (end - state.now + 10) for state, left in _moments(name) if state.stage == "calibrate"]
    assert found
    assert all(0.25 < ratio < 4 for ratio in found)


@pytest.mark.parametrize("name", RUNS)
def test_the_estimate_does_not_jump(name: str) -> None:
    """From one event to the next it changes by less than 15 seconds or a third, beside the time that passed.

    Unless there is a search all of a sudden, of which nobody knew.
    """
    moments = [(state.now, left, state.wave, state.stage) for state, left in _moments(name)]
    for (at, left, wave, stage), (then, left_then, _, stage_then) in pairwise(moments):
        if wave > 3 and (stage_then != "search" or stage == "search"):
            assert abs(left_then + then - at - left) < max(15.0, left / 3), f"{left} to {left_then} at {at}"


@pytest.mark.parametrize("name", [name for name in RUNS if name not in {"with a search", "for a time"}])
def test_the_number_of_waves_is_near_the_truth(name: str) -> None:
    """After the ramp's first wave it is off by two at most."""
    profile, events = _run(name)
    waves = fold(events).wave
    for state, _ in _moments(name):
        if state.wave > 3 and state.stage == "ramp":
            expected = all_waves(profile.ramp, state)
            assert expected is None or abs(expected - waves) <= 2


@settings(deadline=None)  # the first example of a run simulates it
@given(
    name=st.sampled_from(sorted(RUNS)),
    share=st.floats(0, 1),
    ramp=st.builds(
        Ramp,
        shape=st.sampled_from(["linear", "geometric", "list"]),
        start=st.integers(1, 50),
        step=st.integers(1, 50),
        factor=st.floats(1.001, 10),
        waves=st.lists(st.integers(1, 100), max_size=5).map(tuple),
        max_instances=st.integers(1, 10_000_000),
        max_seconds=st.sampled_from([0.0, 30.0]),
        until=st.sampled_from(["safe", "failure", "forecast"]),
        calibrate=st.integers(0, 4),
    ),
)
def test_whatever_the_ramp_the_estimate_is_a_time(name: str, share: float, ramp: Ramp) -> None:
    """At any moment of any run: finite, never negative, and no fewer waves than there were."""
    _, events = _run(name)
    state = fold(events[: round(share * len(events))])
    left = seconds_left(ramp, state)
    assert left is None or 0 <= left < math.inf
    waves = all_waves(ramp, state)
    assert waves is None or waves >= state.wave
    if left is not None:
        assert 0 <= done_share(state, left) <= 1


def test_nothing_is_said_before_anything_was_measured(events: list[Event]) -> None:
    """Preflight and calibration know no pace and no forecast worth the name."""
    assert seconds_left(Ramp(), RunState()) is None
    assert seconds_left(Ramp(), fold(events[:2])) is None


def test_calibration_has_a_wave_for_each_workload(events: list[Event]) -> None:
    """That number is known."""
    assert all_waves(Ramp(), fold([events[0], StageEntered(0.0, "calibrate")])) == 2


def test_many_waves_are_not_counted_one_by_one(events: list[Event]) -> None:
    """A ramp of ten million waves costs no more than one of a few hundred to look at."""
    state = fold([events[0], StageEntered(0.0, "ramp")])
    ramp = Ramp(shape="linear", start=1, step=1, max_instances=10_000_000, calibrate=0)
    assert all_waves(ramp, state) == 10_000_000 > FORESEEN


def test_an_interrupted_run_only_removes(events: list[Event]) -> None:
    """At first by a guess, then by how fast the instances go; the hold is not waited for."""
    state = fold([*events, Stopped(9.0, "interrupted", "interrupted"), StageEntered(9.0, "teardown")])
    left = seconds_left(Ramp(hold_seconds=600), state)
    assert left is not None
    assert left < 10
    state.apply(InstanceChanged(10.0, "web-0", "web", Phase.REMOVED))
    state.apply(InstanceChanged(10.0, "web-3", "web", Phase.FAILED))
    assert seconds_left(Ramp(), state) == pytest.approx(2.0)


def test_a_run_that_was_over_before_it_began(events: list[Event]) -> None:
    """Torn down without a wave, a stop or a hold: there is nothing left to wait for."""
    assert seconds_left(Ramp(), fold([events[0], StageEntered(1.0, "teardown")])) == 0


def test_the_hold_counts_down(events: list[Event]) -> None:
    """From the profile's hold to nothing, also when it takes longer than it should."""
    ramp = Ramp(hold_seconds=20)
    state = fold([*events, Stopped(100.0, "max", "enough"), StageEntered(100.0, "hold")])
    removal = seconds_left(Ramp(hold_seconds=0), state)
    assert removal is not None
    assert seconds_left(ramp, state) == pytest.approx(20 + removal)
    state.now = 115.0
    assert seconds_left(ramp, state) == pytest.approx(5 + removal)
    state.now = 500.0
    assert seconds_left(ramp, state) == pytest.approx(removal)
    state.apply(Held(501.0, {}, {}, (), kept=True))
    assert seconds_left(ramp, state) == pytest.approx(removal)


def test_a_wave_that_settles_for_longer_than_expected_leaves_no_negative_time(events: list[Event]) -> None:
    """The rest of the run is still to come, and no more."""
    state = fold([*events[:-2], WaveStarted(5.0, 2, {"web": 1}, 4)])
    state.apply(InstanceChanged(5.0, "web-9", "web", Phase.REQUESTED))
    state.apply(InstanceChanged(6.0, "web-9", "web", Phase.READY))
    ramp = Ramp(max_instances=4, hold_seconds=0, settle_seconds=3)
    state.now = 7.0
    soon = seconds_left(ramp, state)
    state.now = 1000.0
    late = seconds_left(ramp, state)
    assert soon is not None
    assert late is not None
    assert 0 <= late < soon


ABOUT = {
    0: "a few seconds", 7: "a few seconds", 8: "about 10 s", 38: "about 40 s", 87: "about 85 s", 100: "about 1.5 min",
    175: "about 3 min", 1000: "about 17 min", 5390: "about 90 min", 5400: "about 1 h 30 min", 7000: "about 2 h",
}  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), ABOUT.items())
def test_a_time_is_said_no_finer_than_it_is_known(seconds: float, text: str) -> None:
    """In steps that grow with it."""
    assert about(seconds) == text
