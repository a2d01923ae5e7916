"""VMs of a normal user, by a libvirtd of their own: `qemu:///session`."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.host_state import settled_leftovers
from support.libvirt_faults import greeting_image
from support.running import Finished, run_density
from support.users import NOBODY, within_user
from support.whole_record import flaws

pytestmark = [pytest.mark.libvirt, pytest.mark.root, pytest.mark.tools("setpriv", "unshare", "qemu-img")]
PROFILE = """
name = "mine"
[ramp]
shape = "linear"
start = 1
step = 1
max = 3
settle = "200ms"
hold = "500ms"
calibrate = 1
[objectives]
tester_lag = "off"
[engines]
missing = "skip"
"""
NULL = """
[workloads.vm]
engine = "libvirt"
guest = "null"
"""
CONTAINER = """
[workloads.web]
engine = "docker"
"""
PROCESS = """
[workloads.process]
engine = "native"
"""
DISK = """
[workloads.{name}]
engine = "libvirt"
guest = "disk"
image = "{image}"
memory = "16MiB"
ready = "{ready}"
ready_timeout = "{seconds}s"
"""
GREETS = "console:disk.*here"


@pytest.fixture
def home(runtime_dir: Path) -> Iterator[Path]:
    """The home of a user without rights, whose daemons end with the test."""
    path = runtime_dir / "home"
    yield path
    for file in path.glob("run/libvirt/*.pid"):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.1)


def run(home: Path, *workloads: str) -> tuple[Finished, Path]:
    """A run of these as that user, and its directory."""
    within = within_user(NOBODY, home)
    profile = home / "mine.toml"
    profile.write_text(PROFILE + "".join(workloads))
    profile.chmod(0o644)
    ended = run_density(profile, home / "runs", within)
    run_dirs = list((home / "runs").glob("*"))
    assert len(run_dirs) == 1, ended.said
    return ended, run_dirs[0]


def left_in(home: Path) -> list[str]:
    """Files of instances, wherever a user's libvirt and density keep them."""
    return [str(path) for path in home.rglob("*density-*") if "runs" not in path.parts] + [
        str(path) for path in home.glob(".local/state/density/*/*")
    ]


def test_vms_of_a_normal_user_run(home: Path) -> None:
    """Without any configuration: containers are skipped where that user may not use Docker, and VMs come up."""
    ended, run_dir = run(home, NULL, CONTAINER)
    assert ended.exit_code == 0, ended.said
    document = ended.document
    assert list(document["skipped"]) == ["web"]
    assert document["workloads"]["vm"]["ready"] == 3
    assert document["host"]["engines"]["libvirt"]["endpoint"] == "qemu:///session"
    assert document["teardown"]["left"] == []
    assert flaws(run_dir) == []
    assert settled_leftovers(run_dir.name) == []
    assert left_in(home) == []


def test_disks_of_a_normal_user_are_their_own(home: Path) -> None:
    """A VM with a disk writes to an overlay in that user's state directory; one that does not boot is skipped."""
    image = home.parent / "disk.img"
    image.write_bytes(greeting_image())
    image.chmod(0o644)
    ended, run_dir = run(
        home,
        DISK.format(name="vm", image=image, ready=GREETS, seconds=30),
        DISK.format(name="mute", image=image, ready="console:never", seconds=5),
    )
    assert ended.exit_code == 0, ended.said
    document = ended.document
    assert list(document["skipped"]) == ["mute"]
    assert "no VM comes up here" in document["skipped"]["mute"]
    assert document["workloads"]["vm"]["ready"] == 3
    assert settled_leftovers(run_dir.name) == []
    assert left_in(home) == []


def test_others_go_on_where_no_vm_comes_up(home: Path) -> None:
    """The run is said to be one of the other workloads, in its first lines and in its result."""
    ended, _ = run(home, NULL.replace('"null"', '"null"\naccelerator = "kvm"'), PROCESS)
    assert ended.exit_code == 0, ended.said
    assert list(ended.document["skipped"]) == ([] if os.access("/dev/kvm", 0) and kvm_is_open() else ["vm"])
    assert ended.document["workloads"]["process"]["ready"] >= 1


def kvm_is_open() -> bool:
    """Whether every user may use it."""
    return bool(Path("/dev/kvm").stat().st_mode & 0o006)
