"""The end of a run with hundreds of containers, where their daemon is well, cannot fork for a while, or never again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import APIClient
from engines import docker_guest
from engines.contract import short_directory
from support.dockerd import Dockerd
from support.host_state import settled_leftovers
from support.running import RUN_SECONDS, Document, run_directory, started
from support.tally import Tally
from support.whole_record import account, flaws

from density.engines.docker.shims import shim_of

pytestmark = [pytest.mark.root, pytest.mark.docker]
CONTAINERS = int(os.environ.get("DENSITY_TORTURE_CONTAINERS", "320"))
STARVED_SECONDS = 25.0
"""How long the daemon cannot fork, where that is over at some time."""
LEFT_BEHIND, INTERRUPTED = 4, 130
PROFILE = """
name = "end"
[ramp]
start = 40
max = {count}
calibrate = 4
until = "failure"
settle = "500ms"
hold = "10m"
[engines]
docker = "{endpoint}"
[workloads.web]
engine = "docker"
"""
OTHERS = 'image = "{image}"\ncommand = ["wait", "up"]\nready = "running"\n'


@dataclass(frozen=True)
class Ended:
    """How a run ended that was interrupted in its hold, and how long its teardown took."""

    document: Document
    exit_code: int
    seconds: float
    run_dir: Path


@pytest.fixture
def group() -> Iterator[Path]:
    """A cgroup for the daemon, its containerd, all shims and whatever they fork; without a limit at first."""
    base = Path("/sys/fs/cgroup/pids")
    path = (base if base.is_dir() else Path("/sys/fs/cgroup")) / f"torture-{os.getpid()}"
    path.mkdir()
    yield path
    for pid in map(int, (path / "cgroup.procs").read_text().split()):
        os.kill(pid, signal.SIGKILL)  # shims outlive their daemon
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            path.rmdir()
        except OSError:
            time.sleep(0.2)
        else:
            return
    path.rmdir()


@pytest.fixture
def daemon(group: Path) -> Iterator[Dockerd]:
    """A daemon in that cgroup."""
    within = ("sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh")
    with short_directory() as directory:
        found = Dockerd(directory, within=within)
        with found:
            yield found


def interrupted(profile: str, directory: Path, *, within_it: Callable[[], Iterator[None]] | None = None) -> Ended:
    """Run until all are ready, then interrupt it; `within_it` surrounds what follows."""
    path = directory / "end.toml"
    path.write_text(profile)
    with started(path, directory / "runs") as process:
        run_dir = run_directory(directory / "runs")
        if run_dir is None:
            pytest.fail(f"no run began: {process.communicate()[1]}")
        deadline = time.monotonic() + RUN_SECONDS
        while ready(run_dir) < CONTAINERS and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        with contextmanager(within_it or nothing)():
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=RUN_SECONDS)
            seconds = time.monotonic() - began
        assert process.returncode is not None
    assert out, said
    return Ended(json.loads(out), process.returncode, seconds, run_dir)


def nothing() -> Iterator[None]:
    """No surroundings."""
    yield


def ready(run_dir: Path) -> int:
    """Instances that are ready by the record so far."""
    try:
        return account(run_dir).ready
    except Exception:  # noqa: BLE001 — there is no record yet
        return 0


def starved(group: Path, seconds: float) -> Callable[[], Iterator[None]]:
    """No process of this cgroup can fork any more, for so long, or until this is left."""

    def surround() -> Iterator[None]:
        (group / "pids.max").write_text((group / "pids.current").read_text())
        program = f"sleep {seconds} && echo max >{group}/pids.max"
        with subprocess.Popen(["sh", "-c", program]) as relief:
            try:
                yield
            finally:
                relief.terminate()
                (group / "pids.max").write_text("max")

    return surround


@pytest.mark.parametrize("image", ["payload", "other"])
def test_hundreds_of_containers(image: str, tally: Tally, daemon: Dockerd, group: Path, tmp_path: Path) -> None:
    """All go within a minute, and the daemon still answers: it did not lock itself up."""
    with profile_of(image, daemon, tmp_path) as profile:
        ended = interrupted(profile, tmp_path)
        say(f"{CONTAINERS} containers of {image}", ended)
        survived = ended.exit_code == INTERRUPTED and ended.seconds < 60 and removed(ended) >= CONTAINERS
        left = left_on_the_host(ended, daemon, group)
        tally.add(f"teardown of {CONTAINERS} containers, {image}", survived, left, len(flaws(ended.run_dir)))


@pytest.mark.parametrize("image", ["payload", "other"])
def test_a_daemon_that_cannot_fork_for_a_while(
    image: str, tally: Tally, daemon: Dockerd, group: Path, tmp_path: Path
) -> None:
    """As on a host without a task: its removals fail and are tried again, and all are gone once it can fork."""
    with profile_of(image, daemon, tmp_path) as profile:
        ended = interrupted(profile, tmp_path, within_it=starved(group, STARVED_SECONDS))
        say(f"starved for {STARVED_SECONDS:.0f} s, {image}", ended)
        survived = ended.exit_code == INTERRUPTED and removed(ended) >= CONTAINERS
        left = left_on_the_host(ended, daemon, group)
        tally.add(f"daemon that cannot fork for a while, {image}", survived, left, len(flaws(ended.run_dir)))


def test_a_daemon_that_never_forks_again(tally: Tally, daemon: Dockerd, group: Path, tmp_path: Path) -> None:
    """It gives up, names every container that is left and no other, and `density clean` removes them later."""
    with profile_of("other", daemon, tmp_path) as profile:
        ended = interrupted(profile, tmp_path, within_it=starved(group, 2 * RUN_SECONDS))
        say("never forks again", ended)
        client = APIClient(base_url=daemon.endpoint, version="auto", timeout=60)
        there = {each["Names"][0].lstrip("/") for each in client.containers(all=True)}
        client.close()
        named = {each for each in left_of(ended) if each.startswith("density-")}
        survived = ended.exit_code == LEFT_BEHIND and bool(there) and there <= named
        command = ["-m", "density", "clean", ended.run_dir.name, "--docker", daemon.endpoint]
        subprocess.run([sys.executable, *command], check=False, capture_output=True, timeout=RUN_SECONDS)
        left = left_on_the_host(ended, daemon, group)
        tally.add("daemon that never forks again", survived, left, len(flaws(ended.run_dir)))


def left_on_the_host(ended: Ended, daemon: Dockerd, group: Path) -> list[str]:
    """What carries the run's id, and shims of the daemon, which carry no run's: it has no other containers."""
    left = settled_leftovers(ended.run_dir.name, daemon=daemon.endpoint.removeprefix("unix://"))
    commands = (Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (group / "cgroup.procs").read_text().split())
    return left + [f"shim of {container}" for container in map(shim_of, commands) if container]


@contextmanager
def profile_of(image: str, daemon: Dockerd, directory: Path) -> Iterator[str]:
    """A profile of so many containers: the payload's, or a program's that does not end by a closed channel."""
    text = PROFILE.format(count=CONTAINERS, endpoint=daemon.endpoint)
    if image == "payload":
        yield text
        return
    client = APIClient(base_url=daemon.endpoint, version="auto", timeout=60)
    name = docker_guest.build(client, directory)
    try:
        yield text + OTHERS.format(image=name)
    finally:
        client.close()


def removed(ended: Ended) -> int:
    """Containers that the teardown removed."""
    return int(ended.document["teardown"]["removed"])


def left_of(ended: Ended) -> Sequence[str]:
    """What the teardown named."""
    left: list[str] = ended.document["teardown"]["left"]
    return left


def say(what: str, ended: Ended) -> None:
    """For the person who reads the figures."""
    counts = f"removed {removed(ended)}, left {len(left_of(ended))}"
    print(f"\n{what}: exit code {ended.exit_code} after {ended.seconds:.1f} s, {counts}", file=sys.stderr)
