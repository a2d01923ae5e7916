"""The watchdog: what it notices and does by a test's clock, in a run in virtual time, and in a run that is blocked."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from support.host_state import settled_leftovers
from support.simulation import simulate
from support.whole_record import account, flaws

from density.ceilings.reading import Bounds
from density.controller import watchdog as module
from density.controller.run import Controller
from density.controller.session import Ended, Session
from density.controller.watchdog import (
    CUT_SECONDS,
    GIVE_UP_SECONDS,
    LATE_SECONDS,
    PATIENCE_SECONDS,
    PERIOD_SECONDS,
    TEARDOWN_SECONDS,
    Watchdog,
)
from density.engines.native.processes import find
from density.engines.simulated import HostModel, SimulatedEngine
from density.errors import InternalFailure
from density.events import Event, InstanceChanged
from density.model import Phase, Workload
from density.profile.spec import Profile, Ramp, Reserve, SimulatedHost
from density.state import RunState

GIB = 2**30
BOUNDS = Bounds(Reserve(memory_bytes=GIB))
ABOVE = {"memory.total_bytes": 16.0 * GIB, "memory.available_bytes": 0.6 * GIB}
BELOW = {"memory.total_bytes": 16.0 * GIB, "memory.available_bytes": 0.4 * GIB}


@dataclass
class Scene:
    """A watchdog with a clock of its own, what it reads, and what it did at which time."""

    now: float = 1000.0
    values: dict[str, float] = field(default_factory=lambda: dict(ABOVE))
    alive: int = 8
    did: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(
            lambda: self.values, BOUNDS, cut=self._cut, kill=self._kill, end=self._end, clock=lambda: self.now
        )

    def _cut(self) -> int:
        self.did.append(("cut", self.now))
        return self.alive

    def _end(self) -> None:
        self.did.append(("end", self.now))

    def _kill(self) -> int:
        killed, self.alive = self.alive, 0
        self.did.append(("kill", self.now))
        return killed

    def pass_(self, seconds: float, *, beating: bool = True, looking: bool = True) -> None:
        """Let time pass, with a beat of the loop and a look of the watchdog each period."""
        until = self.now + seconds
        while self.now < until:
            self.now += PERIOD_SECONDS
            if beating:
                self.watchdog.beat()
            if looking:
                self.watchdog.look()


def test_a_loop_that_beats_is_left_alone() -> None:
    """An hour of beats, each half a second: no alarm, and nothing is done."""
    scene = Scene()
    scene.pass_(3600)
    assert scene.watchdog.alarm is None
    assert scene.did == []


def test_a_loop_that_does_not_come_back() -> None:
    """After 10 s there is an alarm; channels are cut, the slice is killed, and 2 minutes later the process ends."""
    scene = Scene()
    scene.pass_(5)
    blocked_at = scene.now
    scene.pass_(LATE_SECONDS + GIVE_UP_SECONDS, beating=False)
    alarm = scene.watchdog.alarm
    assert alarm is not None
    assert (alarm.what, alarm.at - blocked_at) == ("late", LATE_SECONDS)
    assert [what for what, _ in scene.did][:2] == ["cut", "kill"]
    cut_at, killed_at = (at for _, at in scene.did[:2])
    assert cut_at == alarm.at + PATIENCE_SECONDS
    assert killed_at == cut_at + CUT_SECONDS
    assert scene.did[-1] == ("end", alarm.at + GIVE_UP_SECONDS)
    assert scene.watchdog.killed == 8


def test_a_loop_that_comes_back_tears_down_itself() -> None:
    """It was late, so the run ends; but it is back within the patience, so the watchdog does nothing by itself."""
    scene = Scene()
    scene.pass_(LATE_SECONDS + 2, beating=False)
    scene.pass_(60)
    assert scene.watchdog.alarm is not None
    assert scene.did == []


@pytest.mark.parametrize("first", ["late", "floor"])
@pytest.mark.parametrize("acted", [True, False])
def test_a_loop_that_hangs_again_in_its_teardown(first: str, acted: bool) -> None:  # noqa: FBT001 — a case
    """Whatever the first alarm was, and whether the watchdog acted then: it is cut, killed and ended as before."""
    scene = Scene()
    scene.pass_(5)
    if first == "floor":
        scene.values = BELOW
    scene.pass_(LATE_SECONDS + (PATIENCE_SECONDS + CUT_SECONDS + 1 if acted else 2), beating=False)
    scene.values = ABOVE
    scene.pass_(60)
    assert scene.watchdog.alarm is not None
    assert scene.watchdog.alarm.what == first
    scene.did.clear()
    scene.alive = 3
    hung_at = scene.now
    scene.pass_(LATE_SECONDS + GIVE_UP_SECONDS, beating=False)
    late_at = hung_at + LATE_SECONDS
    assert scene.did[:2] == [("cut", late_at + PATIENCE_SECONDS), ("kill", late_at + PATIENCE_SECONDS + CUT_SECONDS)]
    assert scene.did[-1] == ("end", late_at + GIVE_UP_SECONDS)
    assert scene.alive == 0


def test_a_loop_that_comes_back_a_second_time_is_left_alone() -> None:
    """It tears down with pauses shorter than the patience: nothing is cut or killed."""
    scene = Scene()
    for _ in range(3):
        scene.pass_(LATE_SECONDS + 2, beating=False)
        scene.pass_(60)
    assert scene.did == []


def test_a_process_that_is_stopped_after_an_alarm_has_its_patience_again() -> None:
    """The machine is suspended for an hour while the loop hangs: it is not ended for time that nobody had."""
    scene = Scene()
    scene.pass_(LATE_SECONDS + 1, beating=False)
    scene.pass_(3600, beating=False, looking=False)
    scene.pass_(PATIENCE_SECONDS - 1, beating=False)
    assert scene.did == []
    scene.pass_(2, beating=False)
    assert [what for what, _ in scene.did] == ["cut"]


def test_what_is_forked_after_a_kill_is_killed_too() -> None:
    """It goes on looking for as long as the loop is away."""
    scene = Scene()
    scene.pass_(LATE_SECONDS + PATIENCE_SECONDS + CUT_SECONDS + 2, beating=False)
    assert scene.alive == 0
    scene.alive = 3
    scene.pass_(2, beating=False)
    assert scene.alive == 0
    assert scene.watchdog.killed == 11


def test_a_process_that_was_stopped_is_not_late() -> None:
    """45 s of SIGSTOP or of a suspended machine stop the watchdog as well: the loop has all its time again."""
    scene = Scene()
    scene.pass_(5)
    scene.pass_(45, beating=False, looking=False)
    scene.pass_(LATE_SECONDS - 1, beating=False)
    assert scene.watchdog.alarm is None
    scene.pass_(2, beating=False)
    assert scene.watchdog.alarm is not None


def test_a_host_below_half_its_reserve_is_an_alarm() -> None:
    """One look below may be a moment's peak; two are an alarm that names the ceiling."""
    scene = Scene()
    scene.pass_(5)
    scene.values = BELOW
    alarms = []
    for _ in range(2):
        scene.pass_(PERIOD_SECONDS)
        alarms.append(scene.watchdog.alarm)
    first, second = alarms
    assert first is None
    assert second is not None
    assert second.what == "floor"
    assert second.reading is not None
    assert second.reading.ceiling == "memory.available"


def test_a_host_that_was_below_from_the_beginning_is_for_the_ramp_to_judge() -> None:
    """The ramp stops at the reserve before its first launch; the watchdog has nothing to end."""
    scene = Scene(values=dict(BELOW))
    scene.pass_(600)
    assert scene.watchdog.alarm is None


@pytest.mark.parametrize("recovers", [True, False])
def test_a_teardown_that_does_not_help_the_host(recovers: bool) -> None:  # noqa: FBT001 — a case
    """The loop has taken the alarm; where memory is still below the floor after 15 s, the slice is killed."""
    scene = Scene()
    scene.pass_(5)
    scene.values = BELOW
    scene.pass_(5)
    if recovers:
        scene.values = ABOVE
    scene.pass_(TEARDOWN_SECONDS + CUT_SECONDS)
    assert [what for what, _ in scene.did[:2]] == ([] if recovers else ["cut", "kill"])


WEB = Workload(name="web", engine="simulated")


def test_a_run_whose_host_runs_dry_ends_with_that_ceiling() -> None:
    """Something else takes the memory in the hold: the run ends as a ceiling, at once, and removes everything."""
    host = SimulatedHost(memory_bytes=8 * GIB, used_memory_bytes=GIB)
    ramp = Ramp(max_instances=20, hold_seconds=600.0)
    profile = Profile(name="test", workloads=(WEB,), ramp=ramp, reserve=Reserve(memory_bytes=2 * GIB), simulated=host)
    took_at: list[float] = []

    async def look(controller: Controller, engine: SimulatedEngine) -> None:
        dog = controller._equipment.watchdog
        assert dog is not None
        async with anyio.create_task_group() as group:
            group.start_soon(dog.beating)
            while True:
                dog.look()
                await anyio.sleep(PERIOD_SECONDS)
                if controller._bus.state.stage == "hold" and not took_at:
                    took_at.append(anyio.current_time())
                    engine.host._base["memory_bytes"] += 6 * GIB + GIB // 5

    def make(host: HostModel) -> Watchdog:
        return Watchdog(host.quick, Bounds(profile.reserve), cut=lambda: 0, kill=lambda: 0, clock=anyio.current_time)

    run = simulate(profile, during=look, make_watchdog=make)
    assert run.problem is None
    assert run.state.outcome is not None
    assert run.state.torn_down is not None
    assert run.state.torn_down.left == ()
    assert run.host.alive == 0
    assert run.state.torn_down.at - took_at[0] < 5
    assert any("half of a reserve" in warning for warning in run.state.warnings)


def test_what_the_watchdog_kills_in_the_teardown_is_told() -> None:
    """The loop hung a second time: what was killed meanwhile is part of the record all the same."""
    dogs: list[Watchdog] = []

    async def look(controller: Controller, engine: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.stage == "teardown")
        dogs[0].killed = 7

    def make(host: HostModel) -> Watchdog:
        dogs.append(Watchdog(host.quick, BOUNDS, cut=lambda: 0, kill=lambda: 0, clock=anyio.current_time))
        return dogs[0]

    profile = Profile(name="test", workloads=(WEB,), ramp=Ramp(max_instances=4, hold_seconds=0.0))
    run = simulate(profile, during=look, make_watchdog=make)
    assert [warning for warning in run.state.warnings if "killed 7" in warning]


NATIVE = Workload(name="web", engine="native")


class Blocks:
    """A sink that blocks the event loop once so many instances are ready, and sees when their processes are gone."""

    def __init__(self, ready: int, seconds: float) -> None:
        self.gone_after: float | None = None
        self._left, self._seconds = ready, seconds

    def handle(self, event: Event) -> None:
        """Count, and block."""
        if not isinstance(event, InstanceChanged) or event.phase is not Phase.READY:
            return
        self._left -= 1
        if self._left == 0:
            observer = threading.Thread(target=self._observe, args=(self._instances(),))
            observer.start()
            time.sleep(self._seconds)
            observer.join()

    @staticmethod
    def _instances() -> Sequence[int]:
        return [pid for pid, name in find("20260101-000000-b10c") if name.startswith("web-")]

    def _observe(self, pids: Sequence[int]) -> None:
        began = time.monotonic()
        assert pids
        while time.monotonic() - began < self._seconds:
            if not any(_runs(pid) for pid in pids):
                self.gone_after = time.monotonic() - began
                return
            time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def _run(tmp_path: Path, sink: Blocks) -> Ended:
    profile = Profile(
        name="blocked",
        workloads=(NATIVE,),
        ramp=Ramp(calibrate=4, max_instances=40, settle_seconds=0.5, hold_seconds=60.0),
    )
    session = Session(run_id="20260101-000000-b10c", run_dir=tmp_path / "run", told=lambda _: None)
    return anyio.run(session.run, profile, RunState(), [sink])


@pytest.mark.parametrize("cuts", [True, False])
def test_a_run_whose_loop_is_blocked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cuts: bool,  # noqa: FBT001 — a case
) -> None:
    """Its instances end before the loop comes back, by their channels or in their slice; the run ends in order."""
    for name, seconds in {"LATE": 1.0, "PATIENCE": 0.5, "CUT": 0.5}.items():
        monkeypatch.setattr(module, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(module, "PERIOD_SECONDS", 0.1)
    if not cuts:
        monkeypatch.setattr("density.payload.channel.Channel.cut", lambda _: 0)
    sink = Blocks(ready=12, seconds=4.5)
    ended = _run(tmp_path, sink)
    assert sink.gone_after is not None
    assert sink.gone_after < 4.0
    assert isinstance(ended.problem, InternalFailure)
    state = ended.state
    assert state.torn_down is not None
    assert state.torn_down.left == ()
    web = state.workloads["web"]
    assert web.launched == web.ready + web.failed
    assert sum(counts[Phase.READY] for counts in state.counts.values()) == 0
    assert not [pid for pid, name in find("20260101-000000-b10c")]


FOREVER = """
import sys, time
from density.cli import main
from density.controller import watchdog
from density.events import InstanceChanged
from density.model import Phase
from density.record.writer import RecordWriter

for name, seconds in {"LATE": 1.0, "PATIENCE": 0.5, "CUT": 0.5, "GIVE_UP": 3.0}.items():
    setattr(watchdog, f"{name}_SECONDS", seconds)
watchdog.PERIOD_SECONDS = 0.1
handle, ready = RecordWriter.handle, []
forever, *words = sys.argv[1:]

def blocking(self, event):
    handle(self, event)
    if not isinstance(event, InstanceChanged):
        return
    if event.phase is Phase.READY:
        ready.append(event)
        if len(ready) == 12:
            time.sleep(3600 if forever == "ramp" else 1.3)
    elif event.phase is Phase.STOPPING:
        time.sleep(3600)

RecordWriter.handle = blocking
sys.exit(main(words))
"""


@pytest.mark.root
@pytest.mark.parametrize("stage", ["ramp", "teardown"])
def test_a_run_whose_loop_never_comes_back_leaves_nothing(tmp_path: Path, stage: str) -> None:
    """The process ends by itself with exit code 1, its reaper removes all there is, and the record is whole.

    Also where the loop came back from the ramp in time, and hangs for good in the teardown which that began.
    """
    profile = tmp_path / "blocked.toml"
    profile.write_text('name = "blocked"\n[ramp]\nmax = 40\nsettle = "200ms"\n[workloads.web]\nengine = "native"\n')
    words = ["run", str(profile), "--runs-dir", str(tmp_path / "runs"), "-q", "--metrics", "off"]
    done = subprocess.run(
        [sys.executable, "-c", FOREVER, stage, *words], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "event loop" in done.stderr
    [run_dir] = (tmp_path / "runs").iterdir()
    assert settled_leftovers(run_dir.name, seconds=45) == []
    assert flaws(run_dir) == []
    assert account(run_dir).ready >= 11
