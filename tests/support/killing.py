"""A run of everything that density launches, killed at a stage of it."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from engines import docker_guest
from support.host_state import instances_on_the_host
from support.running import run_directory, started

from density.log import NAME as LOG

ALONE = ("unshare", "--net")
"""A network namespace of its own has a lock of its own for runs; engines are reached by sockets of the file system."""
STAGES = ("set up", "preflight", "calibrate", "ramp", "hold", "teardown")
LONGEST_SECONDS = {"set up": 0.3, "preflight": 6.0, "calibrate": 6.0, "ramp": 4.0, "hold": 4.0, "teardown": 1.5}
"""A moment lies within so many seconds after a stage was entered, so that most fall into it."""
STAGE_SECONDS = 90.0
REMOVED_SECONDS = 60.0
"""From the kill on: 5 s of lease, a program to start on a busy machine, and the engines' own time."""
_LOOK_SECONDS = 0.02
MIXED = """
name = "killed"
lease = "5s"
[ramp]
shape = "linear"
start = 6
step = 6
max = 18
settle = "500ms"
hold = "20s"
calibrate = 1
[workloads.payload]
engine = "docker"
share = 3
[workloads.other]
engine = "docker"
share = 2
image = "{image}"
command = ["wait", "up"]
ready = "log:up"
[workloads.vm]
engine = "libvirt"
guest = "null"
[workloads.process]
engine = "native"
"""
"""Containers and VMs of which half know nothing of density, and finding out how a VM boots takes a canary."""


@dataclass(frozen=True, slots=True)
class Killed:
    """A run that was killed.

    Attributes:
        seen: ids of the instances that were on the host right after it.
        reached: whether its stage came, and the kill did too: it was not over by itself before.
    """

    run_dir: Path
    seen: frozenset[str]
    reached: bool


@contextmanager
def mixed_profile(directory: Path) -> Iterator[Path]:
    """The profile of a mixed run, with an image of its own, for as long as this is entered."""
    client = docker.APIClient(base_url=docker_guest.ENDPOINT, version="auto")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            image = docker_guest.build(client, Path(scratch))
        try:
            profile = directory / "killed.toml"
            profile.write_text(MIXED.format(image=image))
            yield profile
        finally:
            docker_guest.remove(client, image)
    finally:
        client.close()


def kill_at(stage: str, seconds: float, profile: Path, runs_dir: Path) -> Killed:
    """Begin a run, and end it by SIGKILL so long after it entered a stage; `set up`: after it had its directory."""
    with started(profile, runs_dir, within=ALONE) as process:
        run_dir = run_directory(runs_dir)
        assert run_dir, "the run has not begun"
        reached = stage == "set up" or enters(process, run_dir, stage)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    reached = reached and process.returncode == -signal.SIGKILL
    return Killed(run_dir, frozenset(instances_on_the_host(run_dir.name)), reached)


def enters(process: subprocess.Popen[str], run_dir: Path, stage: str) -> bool:
    """Wait until a run enters a stage; it is asked for its teardown in the middle of its ramp."""
    if stage == "teardown" and _is_logged(process, run_dir, "ramp"):
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
    return _is_logged(process, run_dir, stage)


def _is_logged(process: subprocess.Popen[str], run_dir: Path, stage: str) -> bool:
    deadline = time.monotonic() + STAGE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        log = run_dir / LOG
        if log.exists() and f"stage={stage}" in log.read_text(errors="replace"):
            return True
        time.sleep(_LOOK_SECONDS)
    return False
