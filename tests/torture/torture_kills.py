"""density is killed at random moments of a run with containers, VMs and processes; half of them know nothing of it."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.host_state import settled_leftovers
from support.killing import LONGEST_SECONDS, REMOVED_SECONDS, STAGES, kill_at, mixed_profile
from support.tally import Tally
from support.whole_record import flaws, unread

from density.cli import main

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.tools("cc", "unshare")]
TIMES = 50


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
    left = settled_leftovers(killed.run_dir.name, seconds=REMOVED_SECONDS)
    cleaned = main(["clean", killed.run_dir.name])
    left += [f"after clean: {thing}" for thing in settled_leftovers(killed.run_dir.name)]
    survived = killed.reached and cleaned == 0 and not unread(killed.run_dir)
    tally.add(f"SIGKILL, mixed, {stage}", survived, left, len(flaws(killed.run_dir, seen=killed.seen)))
