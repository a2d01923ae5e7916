"""Density itself does not run for a while, as with SIGSTOP: it says so, and tells what dies as what it is."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio
import pytest
import trio
from support.simulation import During, Simulated, simulate
from trio.testing import MockClock

from density.capacity.capacities import capacities
from density.controller.run import Controller
from density.controller.stalls import LEAST_SECONDS, Cause, Clocks, cause_of
from density.engines.libvirt.instance import ending_failure
from density.engines.simulated import SimulatedEngine
from density.events import StoodStill
from density.model import LEASE, Failure, Phase, Workload
from density.profile.spec import Profile, Ramp
from density.ramp.decide import bounds_of
from density.report.result import result
from density.state import fold

COUNT = 12
WEB = Workload(name="web", engine="simulated")
PROFILE = Profile(name="t", workloads=(WEB,), ramp=Ramp(max_instances=COUNT, hold_seconds=30))
_CLOCKS: Mapping[Cause, Callable[[float], Clocks]] = {
    "stopped": lambda _: Clocks(0.0, 0.0),
    "starved": lambda now: Clocks(0.0, now),
    "busy": lambda now: Clocks(now, 0.0),
}
"""What the kernel says at a time of a thread for which this is the cause of all that is late."""
FAILURE = Failure(LEASE, "its lease ran out: density did not renew it in time")


async def _stand_still(seconds: float) -> None:
    """Time goes by, and nothing runs until it has."""
    await anyio.sleep(1.3)
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    clock.jump(seconds)


def _stopped(seconds: float, *, stage: str = "hold", dead: int = 0, news_seconds: float | None = 0.2) -> During:
    """In this stage density stands still, and so many instances end by their lease, of which news come later."""

    async def during(controller: Controller, engine: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.stage == stage and state.alive >= 4)
        await _stand_still(seconds)
        known = {name: engine._instances[name] for name in list(engine._instances)[:dead]}
        for name in known:
            engine.forget(name)
        if news_seconds is not None:
            await anyio.sleep(news_seconds)
            for instance in known.values():
                engine._changes.report(instance, Phase.LOST, failure=FAILURE)

    return during


def _adds_up(run: Simulated) -> bool:
    at_end = run.state.alive_at_end or {}
    return all(each.ready == at_end[name] + each.lost + each.stepped_back for name, each in run.state.workloads.items())


def test_instances_that_a_lease_ended_are_lost_and_the_reason_is_said() -> None:
    """All of them die in 45 s of a hold: each is lost by its lease, none is recommended, and a warning says why."""
    run = simulate(PROFILE, during=_stopped(45, dead=COUNT))
    (stall,) = run.state.stalls
    assert 44 < stall.seconds < 46
    assert (run.state.workloads["web"].lost, run.state.workloads["web"].failures[LEASE].count) == (COUNT, COUNT)
    document = result(run.state, bounds_of(PROFILE))
    assert document["capacity"]["recommended"]["count"] is None
    assert "density itself did not run for 44.9 s" in document["capacity"]["recommended"]["why"]
    assert any("did not run for 44.9 s: it was stopped" in warning for warning in document["warnings"])
    undisturbed = result(simulate(PROFILE).state, bounds_of(PROFILE))
    assert document["capacity"]["slo"]["count"] == undisturbed["capacity"]["slo"]["count"]
    assert _adds_up(run)
    assert fold(run.events).stalls == run.state.stalls


def test_what_survived_is_held_anew() -> None:
    """The hold that nobody watched proves nothing; the 9 that are left are held for the whole time."""
    run = simulate(PROFILE, during=_stopped(45, dead=3))
    first, second = run.state.holds
    assert (first.kept, first.died) == (False, 3)
    assert 44 < first.unwatched < 46
    assert (second.kept, second.unwatched, second.counts_after) == (True, 0.0, {"web": COUNT - 3})
    assert capacities(run.state, bounds_of(PROFILE)).recommended.count == COUNT - 3


def test_a_hold_that_nobody_watched_is_held_again_with_as_many() -> None:
    """Also where the lag of density is no objective, and is small over a long hold."""
    profile = replace(PROFILE, ramp=replace(PROFILE.ramp, hold_seconds=600))
    run = simulate(profile, during=_stopped(20))
    assert [(held.kept, held.counts_before) for held in run.state.holds] == [
        (False, {"web": COUNT}), (True, {"web": COUNT}),
    ]  # fmt: skip
    assert run.state.workloads["web"].lost == 0


def test_an_end_that_no_engine_tells_of_is_found_out() -> None:
    """The engine lists them no more and stays silent: after a moment they are lost all the same."""
    run = simulate(PROFILE, during=_stopped(45, dead=3, news_seconds=None))
    assert run.state.workloads["web"].failures["vanished"].count == 3
    assert _adds_up(run)


def test_deaths_by_the_lease_blame_no_ceiling_and_end_no_ramp() -> None:
    """In the middle of a ramp: it goes on to its maximum, and every objective counts as kept."""
    profile = replace(PROFILE, ramp=Ramp(shape="linear", start=4, step=4, max_instances=COUNT, hold_seconds=5))
    run = simulate(profile, during=_stopped(45, stage="ramp", dead=4))
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "max"
    assert run.state.workloads["web"].lost == 4
    assert capacities(run.state, bounds_of(profile)).recommended.count == COUNT


def test_the_dead_are_lost_and_not_removed_where_the_run_ends_at_once() -> None:
    """No hold follows: they are found out before the teardown."""
    profile = replace(PROFILE, ramp=replace(PROFILE.ramp, hold_seconds=0, max_seconds=20))

    async def during(controller: Controller, engine: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.alive == COUNT)
        await _stopped(45, stage="ramp", dead=5)(controller, engine)

    run = simulate(profile, during=during)
    assert run.state.workloads["web"].lost == 5
    assert run.state.alive_at_end == {"web": COUNT - 5}
    assert _adds_up(run)


def _stopped_in_a_ramp(cause: Cause) -> Simulated:
    """Launches one at a time, so that no smaller wave could follow."""
    ramp = Ramp(shape="linear", start=4, step=4, max_instances=COUNT, hold_seconds=5, concurrency=1)

    async def during(controller: Controller, engine: SimulatedEngine) -> None:
        controller._stalls._clocks = lambda: _CLOCKS[cause](anyio.current_time())  # type: ignore[method-assign]
        await _stopped(20, stage="ramp")(controller, engine)

    return simulate(replace(PROFILE, ramp=ramp), during=during)


def test_a_ramp_that_was_stopped_goes_on_and_one_that_starves_has_met_its_end() -> None:
    """SIGSTOP says nothing of the count; a density that gets no CPU does, as its objective says."""
    outcomes = {cause: _stopped_in_a_ramp(cause).state.outcome for cause in _CLOCKS}
    assert {cause: found and found.ceiling for cause, found in outcomes.items()} == {
        "stopped": "", "starved": "tester.lag", "busy": "tester.lag",
    }  # fmt: skip


def test_a_moment_is_no_stall() -> None:
    """A few seconds are judged by the objectives."""
    run = simulate(PROFILE, during=_stopped(LEAST_SECONDS - 1))
    assert [event for event in run.events if isinstance(event, StoodStill)] == []
    assert run.state.holds[-1].kept


@pytest.mark.parametrize(
    ("ran", "waited", "word"), [(0.1, 0.0, "stopped"), (0.1, 44.0, "starved"), (44.0, 0.1, "busy")]
)
def test_the_cause_is_what_the_kernel_says_of_the_thread(ran: float, waited: float, word: str) -> None:
    """It ran, waited for a CPU, or neither of both."""
    assert cause_of(45.0, ran=ran, waited=waited) == word


def test_a_vm_whose_payload_says_so_ended_by_its_lease() -> None:
    """Whatever its kernel says after that; a container has no lease, and its words are its own."""
    said = ("vm-00001: the lease ran out", "[   31.2] reboot: Power down")
    assert ending_failure("shut down", said, oom_killed=False, container=False) == Failure(LEASE, FAILURE.message, said)
    assert ending_failure("shut down", said, oom_killed=False, container=True).kind != LEASE
