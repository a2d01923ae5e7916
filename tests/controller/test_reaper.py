"""The reaper: what it costs, when it removes what a run made, and when it leaves it alone."""

import errno
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import psutil
import pytest
from support.host_state import instances_on_the_host, settled_leftovers
from support.running import run_directory, started
from support.whole_record import flaws, unread

from density.controller.guard import ENDED, NOT_STARTED, _spawn, guarded
from density.controller.intent import declared, intent_path
from density.controller.paths import known_runs
from density.controller.session import Session
from density.model import Workload
from density.profile.spec import Profile, Ramp
from density.record.reader import replay
from density.state import RunState

RUN = "20260101-000000-0b01"
SIMULATED = Profile(name="t", workloads=(Workload(name="web", engine="simulated"),), lease_seconds=5.0)
LEASE_SECONDS = 5.0
REMOVAL_SECONDS = 20.0
"""The full program has to be started, on a busy machine."""
MOST_BYTES = 12 * 2**20


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """State and runtime directories of the test's own."""
    monkeypatch.setattr("density.controller.intent.state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr("density.controller.paths.runtime_base", lambda: tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.anyio
async def test_it_is_small_and_holds_nothing_of_the_run(base: Path) -> None:
    """A few MiB, a session of its own, three descriptors, no directory; no signal of a terminal ends it."""
    async with guarded(SIMULATED, run_id=RUN, run_dir=base / "r") as guard:
        pid = await _reaper()
        assert _held(pid) == ["/dev/null", "/dev/null", "pipe"]
        assert os.getsid(pid) == pid
        assert psutil.Process(pid).cwd() == "/"
        assert psutil.Process(pid).memory_info().rss < MOST_BYTES
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        await anyio.sleep(0.2)
        assert psutil.pid_exists(pid)
        guard.all_gone = True
    assert not psutil.pid_exists(pid)
    assert declared() == {}


async def _reaper(*, other_than: int = 0) -> int:
    """The one of the test's run, once it has closed what it came with."""
    with anyio.fail_after(REMOVAL_SECONDS):
        while True:
            found = [pid for pid in _reapers() if pid != other_than and psutil.Process(pid).cwd() == "/"]
            if len(found) == 1:
                return found[0]
            await anyio.sleep(0.02)


def _reapers() -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if RUN in words and any(word.endswith("reaper.py") for word in words):
                found.append(process.pid)
    return found


def _held(pid: int) -> list[str]:
    return sorted(str(link.readlink()).partition(":")[0] for link in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.anyio
async def test_one_that_is_killed_is_followed_by_another(base: Path) -> None:
    """As often as that happens, and the last one ends with the run."""
    async with guarded(SIMULATED, run_id=RUN, run_dir=base / "r") as guard:
        first = await _reaper()
        os.kill(first, signal.SIGKILL)
        second = await _reaper(other_than=first)
        guard.all_gone = True
    assert not psutil.pid_exists(second)


@pytest.mark.anyio
async def test_a_run_that_could_not_remove_everything_has_said_so_itself(base: Path) -> None:
    """The reaper ends with it at once, and the intent stays for `density clean`."""
    async with guarded(SIMULATED, run_id=RUN, run_dir=base / "r"):
        pid = await _reaper()
    assert not psutil.pid_exists(pid)
    assert list(declared()) == [RUN]


@pytest.mark.anyio
async def test_a_run_whose_id_is_taken_takes_nothing_from_the_other(base: Path) -> None:
    """Its reaper ends at once, without touching the directory and the intent of the run that has the id."""
    async with guarded(SIMULATED, run_id=RUN, run_dir=base / "r") as guard:
        with pytest.raises(Exception, match="there is a run"):
            async with guarded(SIMULATED, run_id=RUN, run_dir=base / "r"):
                pytest.fail("the id is taken")
        assert len(_reapers()) == 1
        assert known_runs(base) == {RUN: True}
        assert intent_path(RUN).exists()
        guard.all_gone = True


@pytest.mark.anyio
async def test_a_run_without_a_reaper_says_so(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, however often it is tried, and also to who listens later; one that runs in the end watches it all the same.

    One that is killed is told of as well, since nobody watches the run until the next one runs.
    """
    tries: list[int] = []

    def spawn(words: Sequence[str]) -> tuple[int, int]:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return _spawn(words)

    monkeypatch.setattr("density.controller.guard._spawn", spawn)
    monkeypatch.setattr("density.controller.guard.FIRST_PAUSE_SECONDS", 0.1)
    told: list[str] = []
    async with guarded(SIMULATED, run_id=RUN, run_dir=base / "r") as guard:
        with guard.reaper.telling(told.append):
            assert [NOT_STARTED in each for each in told] == [True]
            pid = await _reaper()
            assert len(told) == 1
            os.kill(pid, signal.SIGKILL)
            last = await _reaper(other_than=pid)
        assert [ENDED in each for each in told] == [False, True]
        guard.all_gone = True
    assert not psutil.pid_exists(last)


def test_the_result_says_that_there_was_no_reaper(base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a warning of the run, after its first event, so that record, screen and result have it."""

    def spawn(_: Sequence[str]) -> tuple[int, int]:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("density.controller.guard._spawn", spawn)
    profile = replace(SIMULATED, ramp=Ramp(max_instances=2, calibrate=0, settle_seconds=0.1, hold_seconds=0.0))
    session = Session(run_id=RUN, run_dir=tmp_path / "run", told=lambda _: None)
    ended = anyio.run(session.run, profile, RunState(), [])
    assert ended.problem is None
    assert [NOT_STARTED in each for each in ended.state.warnings] == [True]
    assert [NOT_STARTED in each for each in replay(tmp_path / "run" / "run.sqlite").warnings] == [True]
    assert not base.exists() or not list(base.iterdir())


PROFILE = """
name = "killed"
lease = "5s"
[ramp]
start = 4
max = 12
settle = "500ms"
hold = "20s"
calibrate = 2
[workloads.process]
engine = "native"
touch = "1MiB"
"""
ALONE = ("unshare", "--net")
"""A network namespace of its own has a lock of its own for runs."""
MOMENTS = (0.0, 0.05, 0.4, 2.5, 5.0)
"""Seconds after the run has its directory: while it is set up, in preflight, calibration, ramp and hold."""


@pytest.mark.root
@pytest.mark.tools("unshare")
def test_runs_of_processes_that_are_killed_leave_nothing(tmp_path: Path) -> None:
    """SIGKILL at several stages, all at once: nothing is left without `density clean`, and each record is whole."""
    profile = tmp_path / "killed.toml"
    profile.write_text(PROFILE)
    runs = [_killed(profile, tmp_path / f"runs{number}", seconds) for number, seconds in enumerate(MOMENTS)]
    for run_dir, seen in runs:
        assert settled_leftovers(run_dir.name, seconds=LEASE_SECONDS + REMOVAL_SECONDS) == []
        assert flaws(run_dir, seen=seen) == []
        assert unread(run_dir) == []


def _killed(profile: Path, runs_dir: Path, seconds: float) -> tuple[Path, set[str]]:
    with started(profile, runs_dir, within=ALONE) as process:
        run_dir = run_directory(runs_dir)
        assert run_dir
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return run_dir, instances_on_the_host(run_dir.name)
