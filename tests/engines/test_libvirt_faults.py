"""Whole runs during which libvirtd or a VM is harmed: counts add up, the result says it, and nothing stays behind.

The long forms, with each fault at each stage, are in `torture/torture_libvirt.py`.
"""

import os
import signal
import time
from pathlib import Path

import pytest
from support.host_state import settled_leftovers
from support.libvirt_faults import (
    Scene,
    await_stage,
    befallen,
    killed_and_restarted,
    processes,
    scene,
)
from support.running import Finished, finished
from support.whole_record import account, flaws

pytestmark = [pytest.mark.libvirt, pytest.mark.root, pytest.mark.tools("virsh", "nsenter")]
LEFT_BEHIND, INTERRUPTED = 4, 130
REAPER_SECONDS = 60.0


def check(found: Scene, ended: Finished, *, lost: int, exit_code: int = 0) -> None:
    """What holds after each of them."""
    assert ended.exit_code == exit_code, ended.said
    assert flaws(found.run_dir) == []
    counted = account(found.run_dir)
    assert (counted.lost, counted.alive) == (lost, 0)
    assert counted.ready == counted.lost + counted.removed
    assert ended.document["teardown"]["left"] == []
    assert processes(found.run_id) == {}
    assert settled_leftovers(found.run_id) == []


def test_a_libvirtd_that_is_killed_and_comes_back_costs_nothing(runtime_dir: Path, tmp_path: Path) -> None:
    """Its VMs run on without it; the run goes on when it is back, and loses none of them."""
    with scene(runtime_dir, tmp_path) as found:
        ended = befallen(found, "ramp", killed_and_restarted)
        check(found, ended, lost=0)
        assert ended.document["outcome"] == "max"


def test_a_vm_that_is_paused_in_the_hold_is_lost_with_its_reason(runtime_dir: Path, tmp_path: Path) -> None:
    """One less is held then, and the result says what became of it."""
    with scene(runtime_dir, tmp_path) as found:
        ended = befallen(found, "hold", lambda seen: seen.virsh("suspend", "DOMAIN"))
        check(found, ended, lost=1)
    assert ended.document["workloads"]["vm"]["deaths"]["endings"] == {"ended (paused)": 1}


def test_signals_work_while_libvirtd_hangs(runtime_dir: Path, tmp_path: Path) -> None:
    """Twice, it leaves within seconds, wherever it waits; the first one has already ended the launching."""
    with scene(runtime_dir, tmp_path) as found:
        await_stage(found.run_dir, "ramp")
        os.kill(found.daemon(), signal.SIGSTOP)
        try:
            time.sleep(1)
            found.process.send_signal(signal.SIGINT)
            time.sleep(2)
            began = time.monotonic()
            found.process.send_signal(signal.SIGINT)
            ended = finished(found.process)
            assert time.monotonic() - began < 10
            assert ended.exit_code in {LEFT_BEHIND, INTERRUPTED}
            assert flaws(found.run_dir) == []
        finally:
            os.kill(found.daemon(), signal.SIGCONT)
        # What was left is removed by the process that outlives density, now that libvirtd answers again.
        assert settled_leftovers(found.run_id, seconds=REAPER_SECONDS) == []


def test_a_signal_ends_the_wait_for_a_libvirtd_that_never_answered(runtime_dir: Path, tmp_path: Path) -> None:
    """At once, by the first one, and nothing was left: no cgroup, no directory, no intent."""
    with scene(runtime_dir, tmp_path) as found:
        os.kill(found.daemon(), signal.SIGSTOP)
        try:
            time.sleep(3)
            began = time.monotonic()
            found.process.send_signal(signal.SIGINT)
            ended = finished(found.process)
            assert time.monotonic() - began < 10
            assert ended.exit_code == INTERRUPTED, ended.said
            assert settled_leftovers(found.run_id) == []
        finally:
            os.kill(found.daemon(), signal.SIGCONT)
