"""The end of a run whose engine removes nothing, some or late, in virtual time."""

import errno
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import anyio
import pytest
from support.simulation import Simulated, simulate

from density.controller.away import AWAY_SECONDS
from density.controller.run import Controller
from density.controller.teardown import STUCK_SECONDS
from density.engines.simulated import SimulatedEngine
from density.errors import EngineUnavailable
from density.events import TornDown
from density.model import Phase, Reaped, Workload, object_name
from density.profile.spec import Profile, Ramp

WEB = Workload(name="web", engine="simulated")
PROFILE = Profile(name="test", workloads=(WEB,), ramp=Ramp(max_instances=40, hold_seconds=0.0))
RUN = "20260101-000000-0000"
stop_really, reap_really = SimulatedEngine.stop, SimulatedEngine.reap


def _killing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Killing the slice ends every instance, of which the engine hears; how many there were, each time."""
    killed: list[int] = []
    real = Controller.__init__

    def init(self: Controller, equipment, **others) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003
        def kill(engine: SimulatedEngine) -> int:
            killed.append(len(engine._instances))
            return killed[-1]

        real(self, replace(equipment, kill=partial(kill, equipment.engines["simulated"])), **others)

    monkeypatch.setattr(Controller, "__init__", init)
    return killed


def _torn(run: Simulated) -> TornDown:
    assert run.state.torn_down is not None
    return run.state.torn_down


def test_an_engine_that_can_end_nothing_until_the_slice_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full host it cannot fork: after 15 s without any progress the slice is killed, then all of it is removed."""
    killed = _killing(monkeypatch)

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        while not killed:  # noqa: ASYNC110 — what kills knows of no loop
            await anyio.sleep(0.5)
        await stop_really(self, instance_ids)

    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    run = simulate(PROFILE)
    assert killed == [40]
    assert _torn(run).left == ()
    assert _torn(run).removed == 40
    assert STUCK_SECONDS <= _torn(run).seconds < 2 * STUCK_SECONDS
    assert run.host.alive == 0


def test_a_slice_that_cannot_be_killed_ends_no_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine takes a minute to remove anything; killing fails three times meanwhile, and one warning says so."""
    tries: list[float] = []
    real = Controller.__init__

    def init(self: Controller, equipment, **others) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003
        def kill() -> int:
            tries.append(1)
            raise PermissionError(errno.EPERM, "Operation not permitted")

        real(self, replace(equipment, kill=kill), **others)

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        await anyio.sleep(3.5 * STUCK_SECONDS)
        await stop_really(self, instance_ids)

    monkeypatch.setattr(Controller, "__init__", init)
    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    run = simulate(PROFILE)
    assert len(tries) == 3
    assert (_torn(run).removed, _torn(run).left) == (40, ())
    assert run.problem is None
    assert len([warning for warning in run.state.warnings if "Operation not permitted" in warning]) == 1


def test_an_engine_that_goes_on_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One every 2 s is progress: nothing is killed, however long it takes altogether."""
    killed = _killing(monkeypatch)

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        for instance_id in instance_ids:
            await anyio.sleep(2)
            await stop_really(self, [instance_id])

    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    run = simulate(PROFILE)
    assert killed == []
    assert _torn(run).removed == 40
    assert _torn(run).seconds > 60


def test_what_an_engine_that_went_away_did_not_remove_is_left_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It removed 7 of 40 and was gone: 7 are counted, and the 33 others are named with the reason."""

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        await stop_really(self, instance_ids[:7])
        raise EngineUnavailable("simulated", "it was killed")

    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    run = simulate(PROFILE)
    assert _torn(run).removed == 7
    stay = {object_name(RUN, name) for name, each in run.state.instances.items() if each.phase is not Phase.REMOVED}
    assert len(stay) == 33
    assert stay < set(_torn(run).left)
    assert any("it was killed" in left for left in _torn(run).left)


def _away(monkeypatch: pytest.MonkeyPatch, *, calls: str, seconds: float, is_away: bool = True) -> list[float]:
    """The engine does not answer for so long from the first of these calls on; the times at which it was asked."""
    asked: list[float] = []

    def ask() -> None:
        asked.append(anyio.current_time())
        if asked[-1] - asked[0] < seconds:
            raise EngineUnavailable("simulated", "connection reset by peer", is_away=is_away)

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        await stop_really(self, instance_ids[:7])
        if calls == "stop":
            ask()
        await stop_really(self, instance_ids)

    async def reap(self: SimulatedEngine, run_id: str) -> Reaped:
        if calls == "reap":
            ask()
        return await reap_really(self, run_id)

    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    monkeypatch.setattr(SimulatedEngine, "reap", reap)
    return asked


@pytest.mark.parametrize("calls", ["stop", "reap"])
def test_an_engine_that_is_away_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch, calls: str) -> None:
    """Its daemon is restarted for half a minute, amid stopping or before it lists: nothing is left, and it is told."""
    asked = _away(monkeypatch, calls=calls, seconds=30)
    run = simulate(PROFILE)
    assert (_torn(run).removed, _torn(run).left) == (40, ())
    assert 30 <= _torn(run).seconds < 40
    assert len(asked) > 10
    assert len([each for each in run.state.warnings if "connection reset by peer" in each]) == 1


def test_an_engine_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After three quarters of a minute in which nothing went."""
    _away(monkeypatch, calls="stop", seconds=1000)
    run = simulate(PROFILE)
    assert AWAY_SECONDS <= _torn(run).seconds < AWAY_SECONDS + 10
    assert _torn(run).removed == 7
    assert len(_torn(run).left) == 33 + 1


def test_an_engine_that_is_there_and_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls have taken their time by then."""
    asked = _away(monkeypatch, calls="reap", seconds=1000, is_away=False)
    assert _torn(simulate(PROFILE)).left
    assert len(asked) == 1


def test_nobody_has_to_wait_for_an_engine_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teardown that is abandoned meanwhile ends at once."""
    _away(monkeypatch, calls="stop", seconds=1000)
    abandoned: list[float] = []

    async def during(controller: Controller, _: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.stage == "teardown")
        await anyio.sleep(5)
        controller.abandon()
        abandoned.append(anyio.current_time())

    run = simulate(PROFILE, during=during)
    assert abandoned
    assert _torn(run).at - abandoned[0] < 1
    assert len(_torn(run).left) == 33


def test_what_an_engine_gives_up_is_left_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own list says what stays, and why."""

    async def reap(self: SimulatedEngine, run_id: str) -> Reaped:
        reaped = await reap_really(self, run_id)
        return replace(reaped, left=(object_name(RUN, "web-00003"),), problem="it has removed nothing for 60 s")

    monkeypatch.setattr(SimulatedEngine, "reap", reap)
    run = simulate(PROFILE)
    assert _torn(run).left == (object_name(RUN, "web-00003"),)
    assert _torn(run).removed == 39
    assert any("nothing for 60 s" in warning for warning in run.state.warnings)


def test_what_went_without_a_word_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine lists it no more, and what reports its end hangs: it has ended all the same, so that counts add up."""

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        for instance_id in instance_ids[:30]:
            self.forget(instance_id)
        await stop_really(self, instance_ids)

    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    run = simulate(PROFILE)
    assert (_torn(run).removed, _torn(run).left) == (40, ())
    assert {each.phase for each in run.state.instances.values()} == {Phase.REMOVED}
    assert run.state.alive == 0
