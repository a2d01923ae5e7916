"""How a run ends when somebody or something ends it: signals at any moment, a full host, a record that stops."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from density.cli import main
from density.engines.simulated import SimulatedEngine
from density.record.writer import TRIES, RecordWriter

SIMULATED = """
name = "shop"
[workloads.web]
engine = "simulated"
[ramp]
calibrate = 2
max = 4
settle = "0.1s"
hold = "0s"
"""
FULL = """
name = "full"
[workloads.web]
engine = "simulated"
[simulated]
memory = "4GiB"
used_memory = "3.9GiB"
[reserve]
memory = "1GiB"
[ramp]
settle = "0.1s"
"""
NATIVE = """
name = "native"
[workloads.web]
engine = "native"
[ramp]
calibrate = 2
max = 2
settle = "0.5s"
hold = "0s"
"""
INTERRUPTED = 130
CGROUPS = Path("/sys/fs/cgroup")


def _profile(directory: Path, text: str) -> Path:
    path = directory / "profile.toml"
    path.write_text(text)
    return path


def _result(runs: Path) -> dict[str, Any]:
    (run_dir,) = runs.iterdir()
    document: dict[str, Any] = json.loads((run_dir / "result.json").read_text())
    assert (run_dir / "report.html").is_file()
    assert (run_dir / "density.log").is_file()
    return document


@contextmanager
def _running(profile: Path, runs: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "density", "run", "-q", str(profile), "--runs-dir", str(runs), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _until(found: Callable[[], object], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_host_that_is_full_already_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -q and a reserve that is crossed before the first launch: a summary with the ceiling, the reason, exit 3."""
    profile = _profile(tmp_path, FULL)
    code = main(["run", "-q", str(profile), "--runs-dir", str(tmp_path / "runs"), "--metrics", "off"])
    document = _result(tmp_path / "runs")
    assert code == 3
    assert document["outcome"] == "ceiling"
    assert document["verdict"]["ceiling"] == "memory.available"
    assert document["capacity"]["hard"]["count"] == 0
    said = capsys.readouterr().err
    assert "memory.available" in said
    assert document["reason"] in said


def test_ctrl_c_while_metrics_linger_is_no_interruption_of_the_run(tmp_path: Path) -> None:
    """The run is over, so its own exit code stays, whatever ends the waiting."""
    profile, runs = _profile(tmp_path, SIMULATED), tmp_path / "runs"
    with _running(profile, runs, "--metrics", "127.0.0.1:0", "--linger", "600s") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Ctrl-C" in line:
                break
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert _result(runs)["outcome"] == "max"


def _cgroups(name: str) -> list[str]:
    """Those that begin like this, anywhere; others come and go meanwhile, which `os.walk` bears."""
    return [f"{directory}/{child}" for directory, children, _ in os.walk(CGROUPS) for child in children
            if child.startswith(name)]  # fmt: skip


def _end(directory: Path, moment: str, delay: float) -> tuple[int, dict[str, Any], list[str]]:
    """SIGTERM this long after that moment of a native run: the exit code, the result, and cgroups that are left."""
    directory.mkdir()
    runs = directory / "runs"
    with _running(_profile(directory, NATIVE), runs, "--metrics", "off") as process:
        _until(lambda: list(runs.glob("*/density.log")))
        (run_dir,) = runs.iterdir()
        name = f"density{run_dir.name.replace('-', '')}."
        if moment == "first cgroup":
            _until(lambda: _cgroups(name))
        else:
            _until(lambda: re.search(moment, (run_dir / "density.log").read_text()))
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    return code, _result(runs), _cgroups(name)


@pytest.mark.root
def test_sigterm_at_any_moment_leaves_no_cgroup(tmp_path: Path) -> None:
    """While the slice is made, while engines are entered, in the teardown, while the slice goes: nothing is left.

    A signal in the teardown may come when all of it is done: then the run has its own exit code, and its report.
    """
    moments = [("run_started", 0.0), ("first cgroup", 0.0), ("first cgroup", 0.1), ("stage=teardown", 0.05)]
    ended = [_end(tmp_path / str(number), *moment) for number, moment in enumerate(moments)]
    for _, document, left in ended:
        assert (left, document["teardown"]["left"]) == ([], []), document["reason"]
    assert [(code, document["outcome"]) for code, document, _ in ended[:3]] == [(INTERRUPTED, "interrupted")] * 3
    assert ended[3][0] in {INTERRUPTED, 0}


def test_a_record_that_stops_ends_the_run_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer fails for good in mid-run: exit 1, everything removed, and the result says what its record lacks."""
    really = RecordWriter._write
    calls = []

    def write(self: RecordWriter, connection: Any, rows: Any) -> bool:  # noqa: ANN401
        calls.append(len(rows))
        if len(calls) > 2:
            raise MemoryError("no more")
        return really(self, connection, rows)

    monkeypatch.setattr(RecordWriter, "_write", write)
    monkeypatch.setattr("density.record.writer.TICK_SECONDS", 0.1)
    profile = _profile(tmp_path, SIMULATED.replace("max = 4", "max = 4000"))
    code = main(["run", "-q", str(profile), "--runs-dir", str(tmp_path / "runs"), "--metrics", "off"])
    document = _result(tmp_path / "runs")
    assert code == 1
    assert len(calls) == 2 + TRIES
    assert document["outcome"] == "error"
    assert document["teardown"]["left"] == []
    assert document["record"]["complete"] is False
    assert document["record"]["missing_events"] > 0
    assert 0 <= document["record"]["last_event_at"] < document["seconds"]
    assert "MemoryError" in capsys.readouterr().err


def test_a_disk_without_room_for_a_file_of_density_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as for a socket in the runtime directory, while the run is set up: a sentence and exit code 7, no fault."""

    async def full(_: SimulatedEngine) -> SimulatedEngine:
        raise OSError(errno.ENOSPC, "No space left on device", "/run/density/x/channel.sock")

    monkeypatch.setattr(SimulatedEngine, "__aenter__", full)
    profile = _profile(tmp_path, SIMULATED)
    code = main(["run", "-q", str(profile), "--runs-dir", str(tmp_path / "runs"), "--metrics", "off"])
    said = capsys.readouterr().err
    assert code == 7
    assert "density itself failed" not in said
    assert "/run/density/x/channel.sock" in said
    assert _result(tmp_path / "runs")["outcome"] == "error"
