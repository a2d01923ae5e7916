"""The disk of a run's directory fills in mid-run: launching stops, all is removed, and the report is written."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from density.cli import main
from density.record.ballast import Ballast
from density.record.reader import replay

pytestmark = pytest.mark.root
PROFILE = """
name = "shop"
[workloads.web]
engine = "simulated"
[ramp]
shape = "linear"
start = 5
step = 5
calibrate = 0
max = 4000
settle = "0.1s"
hold = "60s"
[simulated]
memory = "1TiB"
tasks = 1000000
files = 1000000
launch = "0.05s"
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, unmounted again."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mounted], check=True)
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def _fill(disk: Path) -> None:
    """Take every block, as soon as a run has recorded something there; and every block that comes free."""
    while not list(disk.glob("runs/*/run.sqlite-wal")):
        time.sleep(0.02)
    time.sleep(1.2)
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def _run(disk: Path, tmp_path: Path) -> tuple[int, dict[str, Any], Path]:
    profile = tmp_path / "p.toml"
    profile.write_text(PROFILE)
    filler = threading.Thread(target=_fill, args=(disk,))
    filler.start()
    code = main(["run", "-q", str(profile), "--runs-dir", str(disk / "runs"), "--metrics", "off"])
    filler.join()
    (run_dir,) = (disk / "runs").iterdir()
    text = (run_dir / "result.json").read_text() if (run_dir / "result.json").exists() else "{}"
    return code, json.loads(text), run_dir


def test_a_full_disk_ends_the_run_and_takes_nothing_of_it(disk: Path, tmp_path: Path) -> None:
    """Exit code 6; thanks to the room that is kept, record, result and report are whole all the same."""
    code, document, run_dir = _run(disk, tmp_path)
    assert code == 6
    assert document["outcome"] == "error"
    assert document["workloads"]["web"]["launched"] < 4000
    assert document["teardown"]["left"] == []
    assert document["record"] == document["record"] | {"complete": True, "missing": {}, "lacks": []}
    assert (run_dir / "report.html").stat().st_size > 10_000
    state = replay(run_dir / "run.sqlite")
    assert state.workloads["web"].ready == document["workloads"]["web"]["ready"] > 0
    assert not [path.name for path in run_dir.iterdir() if path.name.endswith(".room")]


def test_without_any_room_the_result_goes_to_standard_output(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what the record lacks, by kind of event and in words; what it has is whole."""
    monkeypatch.setattr("density.record.ballast.MOST_BYTES", 1)
    code, document, run_dir = _run(disk, tmp_path)
    assert (code, document) == (6, {})
    said = json.loads(capsys.readouterr().out)
    assert said["teardown"]["left"] == []
    assert said["record"]["complete"] is False
    assert said["record"]["missing"]["torn_down"] == 1
    assert "what was removed and what is left" in said["record"]["lacks"]
    assert said["record"]["missing_events"] == sum(said["record"]["missing"].values())
    assert replay(run_dir / "run.sqlite").torn_down is None


def test_the_room_has_no_name_and_is_given_back(disk: Path) -> None:
    """While it is held nothing lies in the directory; once released, all of it can be written."""
    free = os.statvfs(disk).f_bavail
    with Ballast(disk) as room:
        assert list(disk.iterdir()) == []
        assert os.statvfs(disk).f_bavail <= free * 3 // 4 + 1
        room.release()
        assert os.statvfs(disk).f_bavail == free
