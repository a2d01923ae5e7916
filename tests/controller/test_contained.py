"""Faults of density's own, in each part of a run: they are contained, and a run that they do end, ends in order."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from support.simulation import Simulated, simulate

from density.controller.bus import Bus
from density.controller.guard import Guard, Reaper
from density.controller.launcher import STREAK
from density.controller.paths import RunLock
from density.controller.run import Controller
from density.controller.session import Session
from density.engines.simulated import HostModel, SimulatedEngine
from density.errors import NO_THREAD, EngineUnavailable, InternalFailure, UsageError
from density.events import Event, HostSampled, InstanceChanged, ProbeMeasured, StageEntered, Warned
from density.host.reading import Sample
from density.log import NAME
from density.model import INTERNAL, Failure, Phase, Reaped, Workload
from density.profile.spec import Profile, Ramp, Reserve
from density.ramp.decide import bounds_of
from density.record import read_events
from density.report.result import result
from density.state import RunState

WEB = Workload(name="web", engine="simulated")
PROFILE = Profile(name="test", workloads=(WEB,), ramp=Ramp(max_instances=60))
launch_really = SimulatedEngine.launch
read_really = HostModel.read


def _warnings(run: Simulated, *, of: str = "") -> list[str]:
    return [warning for warning in run.state.warnings if of in warning]


def _ended_in_order(run: Simulated) -> None:
    assert [event.stage for event in run.events if isinstance(event, StageEntered)][-2:] == ["teardown", "done"]
    assert run.state.torn_down is not None
    assert run.state.torn_down.left == ()
    assert run.host.alive == 0
    document = result(run.state, bounds_of(PROFILE))
    for workload in document["workloads"].values():
        assert workload["launched"] == workload["ready"] + workload["failed"]


def _launch(monkeypatch: pytest.MonkeyPatch, *, faulty: range, report: bool = False) -> None:
    """The launches of these numbers raise; with `report` the engine also says itself that they failed."""

    async def launch(self: SimulatedEngine, workload: Workload, instance_id: str) -> None:
        if int(instance_id.rpartition("-")[2]) not in faulty:
            await launch_really(self, workload, instance_id)
            return
        await anyio.sleep(0.1)
        if report:
            self._changes.report(_Known(instance_id, workload), Phase.FAILED, failure=Failure("exited", "it ended"))
        raise KeyError(-1)

    monkeypatch.setattr(SimulatedEngine, "launch", launch)


class _Known:
    def __init__(self, instance_id: str, workload: Workload) -> None:
        self.instance_id, self.workload, self.changed_at = instance_id, workload, 0.0


def test_a_streak_over_several_waves_stops_the_ramp_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One launch a wave, and from the 20th on each raises: it ends at the fifth, and no ceiling is blamed."""
    _launch(monkeypatch, faulty=range(20, 10_000))
    ramp = Ramp(shape="linear", start=1, step=1, max_instances=60)
    run = simulate(Profile(name="test", workloads=(WEB,), ramp=ramp))
    assert isinstance(run.problem, InternalFailure)
    assert run.state.workloads["web"].failed == STREAK
    assert run.state.outcome is not None
    assert run.state.outcome.ceiling == ""
    _ended_in_order(run)


@pytest.mark.parametrize("report", [False, True])
def test_an_exception_in_one_launch_is_that_launchs_failure(monkeypatch: pytest.MonkeyPatch, *, report: bool) -> None:
    """Two launches raise: the run reaches its count, they are counted once each, and there is one warning of it."""
    _launch(monkeypatch, faulty=range(20, 22), report=report)
    run = simulate(PROFILE)
    assert run.problem is None
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "max"
    web = run.state.workloads["web"]
    assert web.failed == 2
    assert web.peak == 60
    assert len(_warnings(run, of="KeyError: -1")) == 1
    if not report:
        assert web.failures[INTERNAL].count == 2
    _ended_in_order(run)


def test_a_streak_of_them_stops_the_ramp_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the 20th on every launch raises: the ramp ends as an error of density's own, removed and reported."""
    _launch(monkeypatch, faulty=range(20, 10_000))
    run = simulate(PROFILE)
    assert isinstance(run.problem, InternalFailure)
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "error"
    assert run.state.workloads["web"].ready == 19
    assert STREAK <= run.state.workloads["web"].failed < 41
    _ended_in_order(run)


def test_where_no_launch_works_at_all_it_is_a_fault_of_densitys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first wave is shorter than a streak; that nothing became ready is still no fault of the engine."""
    _launch(monkeypatch, faulty=range(10_000))
    run = simulate(PROFILE)
    assert isinstance(run.problem, InternalFailure)
    assert run.state.workloads["web"].failures.keys() == {INTERNAL}
    _ended_in_order(run)


def test_a_launch_that_comes_back_without_a_word_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that never reports what became of one instance does not hold the run up for ever."""

    async def launch(self: SimulatedEngine, workload: Workload, instance_id: str) -> None:
        if instance_id != "web-00020":
            await launch_really(self, workload, instance_id)

    monkeypatch.setattr(SimulatedEngine, "launch", launch)
    run = simulate(PROFILE)
    assert run.problem is None
    assert run.state.workloads["web"].failures[INTERNAL].count == 1
    assert run.state.peak.count == 60
    _ended_in_order(run)


def test_a_report_that_makes_no_sense_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that reports an instance of no workload: a warning, and the reports after it are heard."""
    watch_really = SimulatedEngine.watch

    async def watch(self: SimulatedEngine) -> AsyncGenerator[InstanceChanged]:
        changes = watch_really(self)
        async with aclosing(changes):
            async for change in changes:
                if change.instance_id == "web-00020":
                    yield InstanceChanged(change.at, "x", "nobody", Phase.READY)
                yield change

    monkeypatch.setattr(SimulatedEngine, "watch", watch)
    run = simulate(PROFILE)
    assert run.problem is None
    assert run.state.peak.count == 60
    assert len(_warnings(run, of="KeyError: 'nobody'")) == 1


def test_an_engine_whose_reports_break_off_ends_the_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its reports a run would be blind: it ends as an error, and what runs is removed."""
    watch_really = SimulatedEngine.watch

    async def watch(self: SimulatedEngine) -> AsyncGenerator[InstanceChanged]:
        changes = watch_really(self)
        async with aclosing(changes):
            async for change in changes:
                if change.instance_id == "web-00020":
                    raise RuntimeError("lost the thread")
                yield change

    monkeypatch.setattr(SimulatedEngine, "watch", watch)
    run = simulate(PROFILE)
    assert isinstance(run.problem, InternalFailure)
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "error"
    assert run.state.torn_down is not None
    assert run.host.alive == 0


def test_sensors_that_raise_now_and_then_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every seventh reading raises: the run goes on with the others, and warns once."""
    calls = Counter[str]()

    async def read(self: HostModel, *, thorough: bool) -> Sample:
        calls["read"] += 1
        if calls["read"] % 7 == 0:
            raise ZeroDivisionError("float division by zero")
        return await read_really(self, thorough=thorough)

    monkeypatch.setattr(HostModel, "read", read)
    run = simulate(PROFILE)
    assert run.problem is None
    assert run.state.peak.count == 60
    assert len(_warnings(run, of="ZeroDivisionError")) == 1
    assert sum(isinstance(event, HostSampled) for event in run.events) == calls["read"] - calls["read"] // 7


def test_probes_that_raise_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pinger with a fault: no probe is measured, the run goes on, and warns once."""

    async def ping(self: SimulatedEngine, instance_id: str) -> float:
        raise ValueError("no such file descriptor")

    monkeypatch.setattr(SimulatedEngine, "ping", ping)
    run = simulate(PROFILE)
    assert run.problem is None
    assert run.state.peak.count == 60
    assert len(_warnings(run, of="ValueError")) == 1
    assert not any(isinstance(event, ProbeMeasured) for event in run.events)


def test_launches_without_a_thread_have_failed_by_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses threads, many times in a row: that is no fault of density's own, and ends no run as one."""
    faulty = range(10, 10 + 2 * STREAK)

    async def launch(self: SimulatedEngine, workload: Workload, instance_id: str) -> None:
        if int(instance_id.rpartition("-")[2]) in faulty:
            raise RuntimeError(NO_THREAD)
        await launch_really(self, workload, instance_id)

    monkeypatch.setattr(SimulatedEngine, "launch", launch)
    run = simulate(PROFILE)
    assert run.problem is None
    assert set(run.state.workloads["web"].failures) == {"try_again"}
    _ended_in_order(run)


def test_a_fault_while_instances_are_stopped_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the teardown: what is remembered cannot be stopped, so reaping finds it; the run ends as it would have."""
    stop_really = SimulatedEngine.stop
    reap_really = SimulatedEngine.reap

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        raise ValueError("list.remove(x): x not in list")

    async def reap(self: SimulatedEngine, run_id: str) -> Reaped:
        monkeypatch.setattr(SimulatedEngine, "stop", stop_really)
        return await reap_really(self, run_id)

    monkeypatch.setattr(SimulatedEngine, "stop", stop)
    monkeypatch.setattr(SimulatedEngine, "reap", reap)
    run = simulate(PROFILE)
    assert run.problem is None
    assert len(_warnings(run, of="ValueError")) == 1
    _ended_in_order(run)


def test_a_fault_while_an_engine_is_cleared_is_a_leftover(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot even be looked for is named as left, and the run is concluded."""

    async def reap(self: SimulatedEngine, run_id: str) -> Reaped:
        raise ValueError("no")

    monkeypatch.setattr(SimulatedEngine, "reap", reap)
    run = simulate(PROFILE)
    assert run.state.stage == "done"
    assert run.state.torn_down is not None
    assert len(run.state.torn_down.left) == 1
    assert "simulated" in run.state.torn_down.left[0]


def test_a_teardown_that_is_given_up_says_what_it_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the record has it: 4 removed, 7 left by name; what was removed before the teardown is not among them."""
    stop_really = SimulatedEngine.stop
    controllers: list[Controller] = []

    async def stop(self: SimulatedEngine, instance_ids: Sequence[str]) -> None:
        await stop_really(self, instance_ids[:4])
        controllers[0].abandon()
        await anyio.sleep_forever()

    async def during(controller: Controller, engine: SimulatedEngine) -> None:
        controllers.append(controller)
        await anyio.sleep(5)
        await stop_really(engine, ["web-00001"])
        monkeypatch.setattr(SimulatedEngine, "stop", stop)

    run = simulate(replace(PROFILE, ramp=Ramp(max_instances=11, hold_seconds=60)), during=during)
    assert run.state.torn_down is not None
    assert run.state.torn_down.removed == 4
    assert len(run.state.torn_down.left) == 7
    assert not any("web-00001" in name for name in run.state.torn_down.left)


class _Broken:
    def handle(self, event: Event) -> None:
        raise OSError(9, f"{event.kind}: Bad file descriptor")


class _Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def handle(self, event: Event) -> None:
        self.events.append(event)


async def _emit(bus: Bus, events: list[Event]) -> None:
    for event in events:
        bus.emit(event)


def test_a_sink_that_raises_takes_nothing_from_the_others() -> None:
    """The sinks before and after it get every event, in order, and one warning for all of its faults."""
    before, after = _Kept(), _Kept()
    run = simulate(PROFILE)
    bus = Bus(RunState(), [before, _Broken(), after])
    anyio.run(_emit, bus, run.events)
    assert before.events == after.events
    assert [event for event in after.events if not isinstance(event, Warned)] == run.events
    assert len([warning for warning in bus.state.warnings if "Bad file descriptor" in warning]) == 1


@pytest.mark.parametrize("seconds", [0.05, 5.0, 9.0, 10.3, 14.0])
def test_an_instance_ends_once_however_a_run_ends(seconds: float) -> None:
    """An interrupted run gives up what is on its way; what an engine reports of it afterwards is no second end."""

    async def interrupt(controller: Controller, engine: SimulatedEngine) -> None:
        await anyio.sleep(seconds)
        controller.interrupt()
        await anyio.lowlevel.checkpoint()
        for instance_id in list(controller._bus.state.instances):
            engine._changes.report(_Known(instance_id, WEB), Phase.FAILED, failure=Failure("exited", "late"))

    run = simulate(PROFILE, during=interrupt)
    ends = Counter(
        event.instance_id
        for event in run.events
        if isinstance(event, InstanceChanged) and event.phase in (Phase.FAILED, Phase.LOST, Phase.REMOVED)
    )
    assert set(ends.values()) <= {1}
    assert run.state.torn_down is not None


def test_the_traceback_is_in_the_runs_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`density.log` has the decisions, the failed launch and its traceback; the record has each event once."""
    _launch(monkeypatch, faulty=range(2, 3))
    run_dir = tmp_path / "r"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    profile = Profile(
        name="test", workloads=(WEB,), reserve=Reserve(), ramp=Ramp(max_instances=3, settle_seconds=0.1, hold_seconds=0)
    )
    session = Session(run_id="20260101-000000-0f00", run_dir=run_dir, told=lambda _: None)
    ended = anyio.run(session.run, profile, RunState(), [])
    assert ended.problem is None
    lines = (run_dir / NAME).read_text().splitlines()
    assert any("event=decision" in line and "launch=" in line for line in lines)
    assert any("event=instance" in line and "kind=internal" in line and "level=warning" in line for line in lines)
    assert any(line.startswith("  | ") and "KeyError: -1" in line for line in lines)
    assert len([event for event in read_events(run_dir / "run.sqlite") if isinstance(event, InstanceChanged)]) > 3


@pytest.mark.parametrize(("trouble", "kept"), [("", False), ("gone", True)])
def test_the_reaper_is_kept_for_an_engine_that_could_not_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str, *, kept: bool
) -> None:
    """Else it ends with the run; what the run cannot know to be gone is named and told of all the same."""
    guards: list[Guard] = []

    @asynccontextmanager
    async def guarded(*_: object, **__: object) -> AsyncGenerator[Guard]:
        guards.append(Guard(Reaper("r", tmp_path, lease_seconds=1.0), tmp_path, tmp_path / "data"))
        yield guards[0]

    async def reap(self: SimulatedEngine, run_id: str) -> Reaped:
        if trouble:
            raise EngineUnavailable("simulated", trouble)
        return Reaped()

    monkeypatch.setattr("density.controller.session.guarded", guarded)
    monkeypatch.setattr(SimulatedEngine, "reap", reap)
    ramp = Ramp(max_instances=3, settle_seconds=0.1, hold_seconds=0)
    profile = Profile(name="test", workloads=(WEB,), reserve=Reserve(), ramp=ramp)
    session = Session(run_id="20260101-000000-0f02", run_dir=tmp_path / "r", told=lambda _: None)
    ended = anyio.run(session.run, profile, RunState(), [])
    assert ended.state.torn_down is not None
    assert (guards[0].abandoned, guards[0].all_gone) == (kept, not kept)
    assert bool(ended.state.torn_down.left) == kept
    assert any("simulated" in warning for warning in ended.state.warnings) == kept


@pytest.mark.anyio
async def test_what_cannot_be_begun_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose id is taken raises what its caller can catch, although it listens for signals by then."""
    monkeypatch.setattr("density.controller.paths.runtime_base", lambda: tmp_path / "base")
    run_id = "20260101-000000-0f01"
    session = Session(run_id=run_id, run_dir=tmp_path / "r", told=lambda _: None)
    with RunLock(run_id), pytest.raises(UsageError):
        await session.run(PROFILE, RunState(), [])


def test_no_engine_is_asked_for_what_the_record_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each launch waits until its request is kept; a run that is interrupted amid that has no launch without an end."""
    requested, asked = set[str](), list[bool]()
    launch = SimulatedEngine.launch

    async def noted(self: SimulatedEngine, workload: Workload, instance_id: str) -> None:
        asked.append(instance_id in requested)
        await launch(self, workload, instance_id)

    monkeypatch.setattr(SimulatedEngine, "launch", noted)

    async def interrupted(controller: Controller, _: SimulatedEngine) -> None:
        bus = controller._bus

        async def kept() -> None:
            waiting = set(bus.state.instances)
            await anyio.sleep(2)
            requested.update(waiting)

        bus.kept = kept
        await bus.until(lambda state: state.alive >= 3 and state.in_flight > 0)
        controller.interrupt()

    ramp = Ramp(max_instances=30, settle_seconds=1, hold_seconds=0)
    run = simulate(Profile(name="test", workloads=(WEB,), ramp=ramp), during=interrupted)
    assert len(asked) >= 3
    assert all(asked)
    counts = run.state.counts[WEB.name]
    assert sum(counts[phase] for phase in (Phase.REQUESTED, Phase.CREATED, Phase.STARTED, Phase.READY)) == 0
