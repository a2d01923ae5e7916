"""libvirtd and VMs harmed at every stage of a run: killed, stopped for a minute, restarted, paused, destroyed."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines.contract import short_directory
from support.host_state import settled_leftovers
from support.libvirt_faults import (
    Fault,
    Scene,
    await_stage,
    befallen,
    greeting_image,
    killed,
    killed_and_restarted,
    processes,
    scene,
    stopped,
)
from support.running import finished, run_density
from support.tally import Tally
from support.whole_record import account, flaws, unread

pytestmark = [pytest.mark.libvirt, pytest.mark.root, pytest.mark.tools("virsh", "nsenter")]
STAGES = ("preflight", "calibrate", "ramp", "hold", "teardown")
TIMES = 3
MINUTE_SECONDS = 60.0
GONE = 5
LEFT_BEHIND, INTERRUPTED = 4, 130
REAPER_SECONDS = 60.0


@pytest.fixture
def directory() -> Iterator[Path]:
    """Of a libvirtd's sockets."""
    with short_directory() as path:
        yield path


def add(tally: Tally, fault: str, found: Scene, survived: bool) -> None:  # noqa: FBT001 — a table's row
    """A row, with what is left of the run on the host and what its record lacks."""
    left = [f"process: {name}" for name in processes(found.run_id)] + settled_leftovers(found.run_id)
    lost = flaws(found.run_dir)
    counted = account(found.run_dir)
    if counted.ready != counted.lost + counted.removed + counted.alive:
        lost.append("ready is not lost + removed + alive")
    tally.add(fault, survived and not unread(found.run_dir), left, len(lost))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("name", "fault"),
    [("killed and restarted", killed_and_restarted), ("stopped for a minute", stopped(MINUTE_SECONDS))],
)
def test_a_libvirtd_that_comes_back(
    tally: Tally, directory: Path, tmp_path: Path, stage: str, name: str, fault: Fault
) -> None:
    """The run comes to its end, as if nothing had been, or by libvirt's failure, if no launch was ready in its time."""
    with scene(directory, tmp_path) as found:
        ended = befallen(found, stage, fault)
        timed_out = ended.exit_code == GONE and "timeout" in ended.document["reason"]
        add(tally, f"libvirtd {name} in {stage}", found, ended.exit_code == 0 or timed_out)


@pytest.mark.parametrize("stage", ["ramp", "hold", "teardown"])
def test_a_libvirtd_that_is_gone_for_good(tally: Tally, directory: Path, tmp_path: Path, stage: str) -> None:
    """Exit code 5, or 4 where only the removal is in doubt; no VM runs any more."""
    with scene(directory, tmp_path) as found:
        ended = befallen(found, stage, killed)
        said = ended.document["teardown"]["left"] if ended.document else []
        survived = ended.exit_code in {GONE, LEFT_BEHIND} and any("libvirt" in name for name in said)
        left = [f"process: {name}" for name in processes(found.run_id)]
        tally.add(f"libvirtd killed for good in {stage}", survived, left, len(flaws(found.run_dir)))


@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize("stage", ["ramp", "hold"])
@pytest.mark.parametrize("how", ["kill", "suspend", "destroy", "define"])
def test_a_vm_that_others_end(
    tally: Tally, directory: Path, tmp_path: Path, *, number: int, stage: str, how: str
) -> None:
    """The loss of that one, with its reason, or its failure where it was not ready; the run goes on with the others."""

    def fault(seen: Scene) -> None:
        time.sleep(0.3 * number)
        if how == "kill":
            seen.kill()
        elif how == "define":
            seen.define()
        else:
            seen.virsh(how, "DOMAIN")

    with scene(directory, tmp_path) as found:
        ended = befallen(found, stage, fault)
        counted = account(found.run_dir)
        harmed = 0 if how == "define" else 1
        survived = ended.exit_code == 0 and counted.lost + counted.failed == harmed
        add(tally, f"VM: {how} in {stage}", found, survived)


@pytest.mark.parametrize("stage", ["preflight", "ramp", "teardown"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_while_libvirtd_hangs(
    tally: Tally, directory: Path, tmp_path: Path, stage: str, number: signal.Signals
) -> None:
    """Two of them end density within seconds; once libvirtd goes on, what was left is removed."""
    with scene(directory, tmp_path) as found:
        await_stage(found.run_dir, stage)
        os.kill(found.daemon(), signal.SIGSTOP)
        try:
            time.sleep(1)
            for _ in range(2):
                found.process.send_signal(number)
                time.sleep(1.5)
            began = time.monotonic()
            ended = finished(found.process)
            survived = time.monotonic() - began < 10 and ended.exit_code in {LEFT_BEHIND, INTERRUPTED}
        finally:
            os.kill(found.daemon(), signal.SIGCONT)
        # By the process that outlives density, now that libvirtd answers again.
        left = settled_leftovers(found.run_id, seconds=REAPER_SECONDS)
        tally.add(f"{number.name} while libvirtd hangs in {stage}", survived, left, len(flaws(found.run_dir)))


DISK_MIB = 8
DISKS = """
name = "disks"
[ramp]
shape = "linear"
start = 4
step = 4
max = 60
settle = "500ms"
hold = "1s"
calibrate = 1
[reserve]
disk = "512KiB"
inodes = 4
[objectives]
tester_lag = "off"
[engines]
data = "{data}"
[workloads.vm]
engine = "libvirt"
guest = "disk"
image = "{image}"
memory = "16MiB"
accelerator = "tcg"
ready = "console:disk.*here"
"""


def test_a_small_disk_for_vm_disks(tally: Tally, directory: Path, tmp_path: Path) -> None:
    """The ramp ends before it is full, by the forecast of that very disk, and gives all of it back."""
    image, file, data = directory / "disk.img", tmp_path / "small.img", directory / "data"
    image.write_bytes(greeting_image())
    image.chmod(0o644)
    data.mkdir(mode=0o711)
    with file.open("wb") as opened:
        opened.truncate(DISK_MIB * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(file)], check=True)
    subprocess.run(["mount", "-o", "loop", str(file), str(data)], check=True)
    try:
        data.chmod(0o711)
        before = shutil.disk_usage(data).free
        profile = tmp_path / "disks.toml"
        profile.write_text(DISKS.format(data=data, image=image))
        ended = run_density(profile, tmp_path / "runs", ())
        (run_dir,) = (tmp_path / "runs").iterdir()
        verdict = ended.document["verdict"] or {}
        named = (verdict.get("ceiling"), verdict.get("subject"))
        free = shutil.disk_usage(data).free
        left = [*settled_leftovers(run_dir.name), *(str(path) for path in data.glob("density-*"))]
        survived = ended.exit_code == 0 and named[0] in {"disk.space", "disk.inodes"} and named[1] == "data"
        tally.add("a disk of 8 MiB for VM disks", survived and free == before, left, len(flaws(run_dir)))
    finally:
        subprocess.run(["umount", str(data)], check=True)
