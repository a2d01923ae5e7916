"""A run that is killed together with its reaper, so that `density clean` alone can remove what it leaves."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from support.running import run_directory, started
from support.whole_record import account

RAMP = """
name = "killed"
[slice]
tasks = 300
memory = "2GiB"
[ramp]
shape = "linear"
start = 2
step = 2
max = 8
settle = "500ms"
hold = "120s"
calibrate = 1
"""
READY_SECONDS = 90.0


def ready(run_dir: Path) -> int:
    """Instances that are ready by the record so far."""
    with suppress(Exception):  # there is no record yet
        return account(run_dir).ready
    return 0


def kill_with_reaper(process: subprocess.Popen[str]) -> None:
    """End a run by SIGKILL, and before that whatever would remove what it leaves."""
    process.send_signal(signal.SIGSTOP)  # or it would start another reaper
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == process.pid:
                words = (path.parent / "cmdline").read_text()
                if "reaper" in words or "aftermath" in words:
                    os.kill(int(path.parent.name), signal.SIGKILL)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def killed_run(directory: Path, profile: str, *, instances: int, seconds: float = 0.0) -> Path:
    """The directory of a run that was killed with its reaper, so long after it had so many instances."""
    directory.mkdir(exist_ok=True)
    file = directory / "killed.toml"
    file.write_text(RAMP + profile)
    with started(file, directory / "runs") as process:
        run_dir = run_directory(directory / "runs")
        assert run_dir is not None
        deadline = time.monotonic() + READY_SECONDS
        while ready(run_dir) < instances and process.poll() is None:
            assert time.monotonic() < deadline, "the run has too few instances"
            time.sleep(0.05)
        time.sleep(seconds)
        kill_with_reaper(process)
    return run_dir


def clean(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`density clean` as a person runs it."""
    command = [sys.executable, "-m", "density", "clean", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
