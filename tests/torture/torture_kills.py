"""density is killed at random moments of a run with containers, VMs and processes; half of them know nothing of it."""

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.host_state import settled_leftovers
from support.killing import ALONE, LONGEST_SECONDS, REMOVED_SECONDS, STAGES, enters, kill_at, mixed_profile
from support.running import RUN_SECONDS, run_directory, started
from support.tally import Tally
from support.whole_record import flaws, unread

from density.cli import main

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.tools("cc", "unshare")]
TIMES = 50
SHORTEST_SECONDS = 0.1
STOPS = 3
STOPPED_SECONDS = 15.0
"""Three times the lease."""
VMS = """
name = "stopped"
lease = "5s"
[ramp]
start = 2
max = 2
settle = "500ms"
hold = "15s"
calibrate = 1
[workloads.vm]
engine = "libvirt"
accelerator = "tcg"
"""


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a mixed run."""
    with mixed_profile(tmp_path_factory.mktemp("killed")) as found:
        yield found


@pytest.mark.parametrize("number", range(TIMES))
def test_a_killed_run_leaves_nothing(number: int, profile: Path, tally: Tally, tmp_path: Path) -> None:
    """Each stage in turn: without `density clean` nothing is left after the lease, with it likewise nothing."""
    stage = STAGES[number % len(STAGES)]
    seconds = random.Random(number).uniform(0.0, LONGEST_SECONDS[stage])
    killed = kill_at(stage, seconds, profile, tmp_path / "runs")
    left: list[str] = []
    while not killed.reached and seconds > SHORTEST_SECONDS:  # the run had ended by itself before
        left += settled_leftovers(killed.run_dir.name, seconds=REMOVED_SECONDS)
        seconds /= 2
        killed = kill_at(stage, seconds, profile, tmp_path / f"runs-{seconds}")
    left += settled_leftovers(killed.run_dir.name, seconds=REMOVED_SECONDS)
    cleaned = main(["clean", killed.run_dir.name])
    left += [f"after clean: {thing}" for thing in settled_leftovers(killed.run_dir.name)]
    # 2: of this run there is nothing any more, which is as it should be.
    survived = killed.reached and cleaned in {0, 2} and not unread(killed.run_dir)
    if stage == "hold":
        survived = survived and bool(killed.seen)
    tally.add(f"SIGKILL, mixed, {stage}", survived, left, len(flaws(killed.run_dir, seen=killed.seen)))


@pytest.mark.parametrize("number", range(STOPS))
def test_a_run_that_was_stopped_says_so(number: int, tally: Tally, tmp_path: Path) -> None:
    """SIGSTOP in the hold outlasts the lease: every VM is lost by it, and the run says why it recommends none."""
    profile = tmp_path / "stopped.toml"
    profile.write_text(VMS)
    with started(profile, tmp_path / "runs", within=ALONE) as process:
        run_dir = run_directory(tmp_path / "runs")
        assert run_dir
        reached = enters(process, run_dir, "hold")
        time.sleep(random.Random(number).uniform(0.0, 8.0))
        process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=RUN_SECONDS)
    document = json.loads(out)
    vms = document["workloads"]["vm"]
    said = any("density itself did not run for" in warning for warning in document["warnings"])
    survived = reached and said and vms["lost"] == 2 and vms["failures"][0]["kind"] == "lease"
    tally.add("SIGSTOP beyond the lease, VMs", survived, settled_leftovers(run_dir.name), len(flaws(run_dir)))
