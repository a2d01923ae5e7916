"""density is killed in a run of plain processes: no engine, so it shows what density itself leaves."""

import random
import signal
import time
from pathlib import Path

import pytest
from support.host_state import instances_on_the_host, settled_leftovers
from support.running import run_directory, started
from support.tally import Tally
from support.whole_record import flaws, unread

pytestmark = pytest.mark.root
TIMES = 20
LONGEST_SECONDS = 8.0
"""The run is over by then, so a moment may lie anywhere in it."""
LEASE_SECONDS = 45.0
"""What ends by itself has ended by then: 30 s of lease, and its removal."""
PROFILE = """
name = "killed"
[slice]
tasks = 300
memory = "1GiB"
[ramp]
start = 10
step = 10
shape = "linear"
max = 40
settle = "500ms"
hold = "1s"
calibrate = 2
[workloads.process]
engine = "native"
touch = "1MiB"
"""


@pytest.mark.parametrize("number", range(TIMES))
def test_a_killed_run_leaves_nothing(number: int, tally: Tally, tmp_path: Path) -> None:
    """SIGKILL at a random moment: without `density clean` nothing is left after the lease, and the record is whole."""
    seconds = random.Random(number).uniform(0.3, LONGEST_SECONDS)
    profile = tmp_path / "killed.toml"
    profile.write_text(PROFILE)
    with started(profile, tmp_path / "runs") as process:
        run_dir = run_directory(tmp_path / "runs")
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert run_dir is not None
    seen = instances_on_the_host(run_dir.name)
    left = settled_leftovers(run_dir.name, seconds=LEASE_SECONDS)
    tally.add("SIGKILL, native", not unread(run_dir), left, len(flaws(run_dir, seen=seen)))
