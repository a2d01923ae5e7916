"""The table of `make torture`: a fault that left or lost something is wrong, and fails its test."""

import subprocess
import sys
from pathlib import Path

from support.tally import Fault, Tally

CASES = """
def test_right(tally):
    tally.add("kill", True, [], 0)
    tally.add("kill", True, [], 0)

def test_left(tally):
    tally.add("full disk", True, ["container: density-1"], 0)

def test_lost(tally):
    tally.add("cut", True, [], 2)

def test_dead(tally):
    tally.add("stop", False, [], 0)
"""


def test_the_same_words_are_the_same_row() -> None:
    """Also over several tests, each of which has its own share besides."""
    rows: dict[str, Fault] = {}
    first, second = Tally(rows), Tally(rows)
    first.add("kill", True, [], 0)  # noqa: FBT003 — a table's row
    second.add("kill", False, ["a cgroup"], 3)  # noqa: FBT003
    assert rows["kill"] == Fault(times=2, survived=1, leftovers=["a cgroup"], lost=3)
    assert first.mine["kill"].problems == []
    assert len(second.mine["kill"].problems) == 3


def test_the_table_and_the_tests_that_fail(tmp_path: Path) -> None:
    """Three of four fail when they are over; the table has every row, with its mark."""
    (tmp_path / "test_cases.py").write_text(CASES)
    plugins = ["-p", "torture.conftest", "-p", "no:cacheprovider", "-o", f"pythonpath={Path(__file__).parent}"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "-c", "/dev/null", "--rootdir", str(tmp_path), "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines() if line.split()[-1:] in (["0"], ["WRONG"])]
    assert rows == [
        ["kill", "2", "2", "0", "0"],
        ["full", "disk", "1", "1", "1", "0", "WRONG"],
        ["cut", "1", "1", "0", "2", "WRONG"],
        ["stop", "1", "0", "0", "0", "WRONG"],
    ]
    assert "4 passed, 3 errors" in done.stdout
