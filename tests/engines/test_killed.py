"""A killed run of containers and VMs, half of which know nothing of density, leaves nothing without `density clean`."""

from pathlib import Path

import pytest
from support.host_state import settled_leftovers
from support.killing import REMOVED_SECONDS, kill_at, mixed_profile
from support.whole_record import flaws, unread

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.tools("cc", "unshare")]
MOMENTS = (("preflight", 0.8), ("ramp", 1.0))
"""While a canary finds out how VMs boot, and with launches of every kind in flight."""


def test_a_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """After the lease no container, domain, process, cgroup, file or socket carries its id, and its record is whole."""
    with mixed_profile(tmp_path) as profile:
        runs = [kill_at(stage, seconds, profile, tmp_path / stage) for stage, seconds in MOMENTS]
        for killed in runs:
            assert killed.reached
            assert settled_leftovers(killed.run_dir.name, seconds=REMOVED_SECONDS) == []
            assert flaws(killed.run_dir, seen=killed.seen) == []
            assert unread(killed.run_dir) == []
    assert runs[-1].seen
