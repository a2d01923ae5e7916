"""`density watch` on a run that is over, one that goes on, and one that was cut off."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from support.simulation import simulate

from density.cli import main
from density.cli.watch import _ramp
from density.events import Event, StageEntered, Stopped, TornDown, WaveStarted
from density.live import live_view
from density.profile.load import load_profile, profile_to_toml
from density.record import RecordWriter

RUN = "20260101-000000-0000"
PROFILE = load_profile("simulated", overrides=["ramp.max=20", "ramp.calibrate=2"])


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a run, the only one; nobody holds its lock."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("density.live.follow.runtime_base", lambda: tmp_path / "base")
    directory = tmp_path / "runs" / RUN
    directory.mkdir(parents=True)
    (directory / "profile.toml").write_text(profile_to_toml(PROFILE))
    return directory


def _write(run_dir: Path, events: Sequence[Event]) -> None:
    async def write() -> None:
        async with RecordWriter(run_dir / "run.sqlite") as record:
            for event in events:
                record.handle(event)

    anyio.run(write)


def _whole_run() -> list[Event]:
    return simulate(PROFILE).events


def _watch(run_dir: Path) -> int:
    return main(["watch", "--runs-dir", str(run_dir.parent)])


def test_a_run_that_is_over_shows_its_summary(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that it is over, and then what `density run` said at its end; the latest run is meant by default."""
    _write(run_dir, _whole_run())
    assert _watch(run_dir) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"run {RUN} ended on 1970-01-0")
    assert "simulated: as many as asked for" in out
    assert "ended       20 instances are alive, as many as the profile's max" in out
    assert f"{run_dir}"[-30:] in out.replace("\n            ", "")


def test_a_run_that_launched_nothing_says_why(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A summary of nothing would help nobody."""
    start, *_ = _whole_run()
    reason = "docker: the daemon does not answer"
    _write(run_dir, [start, Stopped(1.0, "error", reason), TornDown(1.0, 0, (), 0.0), StageEntered(1.0, "done")])
    assert _watch(run_dir) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"it launched nothing: {reason}"


def test_a_run_that_was_cut_off_says_how_to_clean(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence on stderr, and a failure, since there is no result."""
    events = _whole_run()
    _write(run_dir, events[: _wave_3(events)])
    os.utime(run_dir / "run.sqlite", (1e9, 1e9))
    assert _watch(run_dir) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: run {RUN} was cut off after ")
    assert captured.err.endswith(
        f"s, with 4 ready in wave 2: its process is gone; `density clean {RUN}` removes what is left of it\n"
    )


def test_a_record_without_events_was_cut_off_as_well(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that died within its first second."""
    _write(run_dir, [])
    os.utime(run_dir / "run.sqlite", (1e9, 1e9))
    assert _watch(run_dir) == 1
    assert f"error: run {RUN} was cut off before it began: " in capsys.readouterr().err


def test_a_running_run_is_shown_until_it_is_over(
    run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From where it stands, line by line, to its end and its summary; what was before is not told again."""
    events = _whole_run()
    middle = _wave_3(events)
    written, watched = threading.Event(), threading.Event()

    async def write() -> None:
        async with RecordWriter(run_dir / "run.sqlite", tick_seconds=600) as record:
            for event in events[:middle]:
                record.handle(event)
            await record.flush()
            written.set()
            await anyio.to_thread.run_sync(watched.wait, 10)
            for event in events[middle:]:
                record.handle(event)

    def show(*args: Any, **options: Any) -> Any:  # noqa: ANN401 — as the view that it stands for
        watched.set()
        return live_view(*args, **options)

    monkeypatch.setattr("density.cli.watch.live_view", show)
    writer = threading.Thread(target=anyio.run, args=(write,))
    writer.start()
    try:
        assert written.wait(10)
        assert _watch(run_dir) == 0
    finally:
        watched.set()
        writer.join()
    lines = capsys.readouterr().out.splitlines()
    assert "] Wave 2" in lines[0]
    assert lines[1].endswith("wave 3: launching 10 web, to have 14")
    assert any(line.endswith("stopped: 20 instances are alive, as many as the profile's max") for line in lines)
    assert any(line.startswith("capacity    239 (238 to 240) hard") for line in lines)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_leaving_ends_the_watching_only(run_dir: Path, how: signal.Signals) -> None:
    """Ctrl-C in a terminal: the cursor is back, one line says that the run goes on, and that is no failure."""
    events = _whole_run()
    _write(run_dir, events[: _wave_3(events)])
    tomorrow = time.time() + 86400
    os.utime(run_dir / "run.sqlite", (tomorrow, tomorrow))  # so that it does not seem dead, however slow this host is
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "density", "watch", str(run_dir)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as watching:
        os.close(slave)
        drawn, sent = b"", False
        with suppress(OSError):  # how a terminal says that nobody is left on its other side
            while part := os.read(master, 65536):
                drawn += part
                if b"settled" in drawn and not sent:
                    watching.send_signal(how)
                    sent = True
    os.close(master)
    assert watching.returncode == 0
    assert drawn.count(b"\x1b[?25l") == drawn.count(b"\x1b[?25h") == 1
    last = drawn.decode().rpartition("\x1b[?25h")[2]
    assert last.replace("\r\n", "") == f"the run goes on: density watch {run_dir} shows it again"


def test_a_run_can_be_watched_without_its_profile(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A profile that is gone or damaged costs the estimates, and nothing else."""
    assert _ramp(run_dir) == PROFILE.ramp
    (run_dir / "profile.toml").write_text("what")
    assert _ramp(run_dir) is None
    (run_dir / "profile.toml").unlink()
    assert _ramp(run_dir) is None


def _wave_3(events: Sequence[Event]) -> int:
    """Where the first wave after calibration begins."""
    return next(number for number, event in enumerate(events) if isinstance(event, WaveStarted) and event.wave == 3)
