"""A Docker daemon that ends, stands still or comes back amid a run, and containers that somebody else touches.

On a second daemon with a containerd of its own; then on a daemon that lies, in all the ways of `support.lying_docker`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import APIClient
from engines.contract import short_directory
from support.dockerd import Dockerd
from support.host_state import instances_on_the_host, settled_leftovers
from support.lied_to import run_on_each
from support.lying_docker import MODES
from support.running import Document, run_directory, started
from support.tally import Tally
from support.whole_record import flaws, unread

from density.host.processes import command_lines
from density.model import LABEL

pytestmark = [pytest.mark.docker, pytest.mark.root]
OWN_NETWORK = ("unshare", "--net")
"""One run at a time on a host, and in each of its network namespaces."""
BOUND_SECONDS = 200.0
"""From the fault to the end of the run: a minute of standstill, and of waiting for what does not come."""
STANDSTILL_SECONDS = 60.0
PROFILE = """
name = "engine"
lease = "5s"
[engines]
docker = "ENDPOINT"
[slice]
tasks = 400
memory = "1GiB"
[ramp]
start = 6
step = 6
shape = "linear"
max = 24
settle = "500ms"
hold = "4s"
calibrate = 2
[workloads.web]
engine = "docker"
touch = "1MiB"
"""


@dataclass(frozen=True)
class Daemon:
    """The daemon, a client of it, and the run on it."""

    dockerd: Dockerd
    client: APIClient
    run_id: str

    def containers(self) -> list[str]:
        """Ids of the run's containers that run."""
        return [each["Id"] for each in self.client.containers(filters={"label": f"{LABEL}={self.run_id}"})]


def killed(daemon: Daemon) -> None:
    """For good: dockerd, and its containerd with it."""
    daemon.dockerd.crash()


def restarted(daemon: Daemon) -> None:
    """Killed, and back after a second."""
    daemon.dockerd.crash()
    time.sleep(1)
    daemon.dockerd.start()


def stopped(daemon: Daemon) -> None:
    """It stands still for a minute."""
    os.kill(daemon.dockerd.pid, signal.SIGSTOP)
    time.sleep(STANDSTILL_SECONDS)
    os.kill(daemon.dockerd.pid, signal.SIGCONT)


def containerd_killed(daemon: Daemon) -> None:
    """Its dockerd starts it again."""
    os.kill(daemon.dockerd.containerd_pid, signal.SIGKILL)


def containerd_stopped(daemon: Daemon) -> None:
    """It stands still for a minute, and with it all that its dockerd asks of it."""
    pid = daemon.dockerd.containerd_pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STANDSTILL_SECONDS)
    with suppress(ProcessLookupError):  # dockerd has ended it
        os.kill(pid, signal.SIGCONT)


def instance_killed(daemon: Daemon) -> None:
    """By `docker kill`."""
    daemon.client.kill(daemon.containers()[0])


def instance_paused(daemon: Daemon) -> None:
    """By `docker pause`."""
    daemon.client.pause(daemon.containers()[0])


def instance_removed(daemon: Daemon) -> None:
    """By `docker rm -f`."""
    daemon.client.remove_container(daemon.containers()[0], force=True)


def image_removed(daemon: Daemon) -> None:
    """Its name, as containers still use it."""
    for image in daemon.client.images():
        daemon.client.remove_image(image["RepoTags"][0], force=True)


Act = Callable[[Daemon], None]


@dataclass(frozen=True)
class Fault:
    """What happens to a run, and what must come of it.

    Attributes:
        moment: the stage in which it happens.
        codes: of the run's end.
        lost: how many instances have died of it; None: any number.
        told: a pattern of what result, warnings, failures or leftovers say of it; empty: it may have passed unnoticed.
        options: of the daemon.
    """

    name: str
    act: Act
    moment: str
    codes: frozenset[int]
    lost: int | None = None
    told: str = ""
    options: tuple[str, ...] = ()


LIVE = ("--live-restore",)
AWAY, REMOVED = "docker", "SIGKILL|137|removed"
FAULTS = (
    Fault("dockerd killed", killed, "ramp", frozenset({5}), told=AWAY),
    Fault("dockerd killed", killed, "hold", frozenset({5}), told=AWAY),
    Fault("dockerd killed", killed, "teardown", frozenset({0, 4}), told=AWAY),
    Fault("dockerd killed, live-restore", killed, "hold", frozenset({5}), told=AWAY, options=LIVE),
    Fault("dockerd restarted", restarted, "ramp", frozenset({5}), told=AWAY),
    Fault("dockerd restarted", restarted, "hold", frozenset({5}), told=AWAY),
    Fault("dockerd restarted, live-restore", restarted, "ramp", frozenset({0, 5}), options=LIVE),
    Fault("dockerd restarted", restarted, "teardown", frozenset({0})),
    Fault("dockerd restarted, live-restore", restarted, "teardown", frozenset({0}), options=LIVE),
    Fault("dockerd stopped for a minute", stopped, "ramp", frozenset({0, 5})),
    Fault("dockerd stopped for a minute", stopped, "teardown", frozenset({0, 4})),
    Fault("containerd killed", containerd_killed, "ramp", frozenset({0, 5})),
    Fault("containerd killed", containerd_killed, "teardown", frozenset({0, 4})),
    Fault("containerd stopped for a minute", containerd_stopped, "ramp", frozenset({0, 5})),
    Fault("containerd stopped for a minute", containerd_stopped, "teardown", frozenset({0, 4})),
    Fault("an instance killed from outside", instance_killed, "ramp", frozenset({0}), told="SIGKILL|137"),
    Fault("an instance killed from outside", instance_killed, "hold", frozenset({0}), lost=1, told="SIGKILL|137"),
    Fault("an instance paused from outside", instance_paused, "ramp", frozenset({0}), told="paused"),
    Fault("an instance paused from outside", instance_paused, "hold", frozenset({0}), lost=1, told="paused"),
    Fault("an instance removed from outside", instance_removed, "ramp", frozenset({0}), told=REMOVED),
    Fault("an instance removed from outside", instance_removed, "hold", frozenset({0}), lost=1, told=REMOVED),
    Fault("the image removed", image_removed, "ramp", frozenset({5}), lost=0, told="No such image"),
)


@contextmanager
def running(options: tuple[str, ...]) -> Iterator[tuple[Dockerd, APIClient, Path]]:
    """A daemon with nothing in it, a client of it, and a directory for runs."""
    with short_directory() as directory:
        dockerd = Dockerd(directory, options=options)
        with dockerd as endpoint:
            client = APIClient(base_url=endpoint, version="auto", timeout=60)
            yield dockerd, client, directory / "runs"
            client.close()
            with suppress(ProcessLookupError):
                os.kill(dockerd.pid, signal.SIGCONT)


def until(true: Callable[[], object], *, seconds: float = 90.0) -> None:
    """Wait for this."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def at(moment: str, run_dir: Path, daemon: Daemon) -> bool:
    """Whether the run is at this moment: in a ramp, with some instances."""
    log = run_dir / "density.log"
    entered = log.is_file() and f"stage={moment}" in log.read_text()
    return entered and (moment != "ramp" or len(daemon.containers()) >= 6)


def said_of(document: Document) -> str:
    """What a result says for people: why it ended, its warnings, its failures, what is left."""
    failures = [failure for each in document["workloads"].values() for failure in each["failures"]]
    texts = [failure[key] for failure in failures for key in ("message", "signal", "kind")]
    return "\n".join([document["reason"], *document["warnings"], *texts, *document["teardown"]["left"]])


def kept_by(directory: Path) -> list[str]:
    """Shims of containers and mounts of theirs that stay with the daemon of this directory, which has no other."""
    commands = ((pid, words) for pid, words in command_lines() if any("containerd-shim" in word for word in words))
    left = [f"shim {pid}" for pid, words in commands if any(str(directory) in word for word in words)]
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return left + [f"mount {each}" for each in points if each.startswith(f"{directory}/") and "/overlay2/" in each]


def cleaned(endpoint: str, run_id: str) -> str:
    """What `density clean` could not do; empty if nothing."""
    command = [*OWN_NETWORK, sys.executable, "-m", "density", "clean", "--docker", endpoint, run_id]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return "" if done.returncode in {0, 2} else f"clean: exit code {done.returncode}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name}, {fault.moment}")
def test_an_engine_that_fails(fault: Fault, tally: Tally, tmp_path: Path) -> None:
    """The run ends by itself, with the right exit code and a whole record; nothing is left after `clean`."""
    with running(fault.options) as (dockerd, client, runs):
        profile = tmp_path / "engine.toml"
        profile.write_text(PROFILE.replace("ENDPOINT", dockerd.endpoint))
        with started(profile, runs, within=OWN_NETWORK) as process:
            run_dir = run_directory(runs)
            assert run_dir is not None
            daemon = Daemon(dockerd, client, run_dir.name)
            until(lambda: at(fault.moment, run_dir, daemon))
            seen = instances_on_the_host(run_dir.name)
            fault.act(daemon)
            out, said = process.communicate(timeout=BOUND_SECONDS)
        document = json.loads(out)
        lost = sum(workload["lost"] for workload in document["workloads"].values())
        told = said_of(document)
        survived = process.returncode in fault.codes and fault.lost in {None, lost} and not unread(run_dir)
        survived = survived and re.search(fault.told, told, re.IGNORECASE) is not None
        if not survived:
            print(process.returncode, lost, said, told, unread(run_dir))
        missing = flaws(run_dir, seen=seen)
        try:
            os.kill(dockerd.pid, 0)
        except ProcessLookupError:
            dockerd.start()
        problem = cleaned(dockerd.endpoint, run_dir.name)
        again = APIClient(base_url=dockerd.endpoint, version="auto", timeout=60)
        left = [f"container {each['Names'][0]}" for each in again.containers(all=True)]
        again.close()
        left += [each for each in settled_leftovers(run_dir.name) if str(runs.parent) not in each]
        left += kept_by(runs.parent)
        tally.add(f"{fault.name}, {fault.moment}", survived, [*left, *filter(None, [problem])], len(missing))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_daemon_that_lies(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each endpoint with all that can go wrong on the wire, in documents and in streams: no fault of density's own."""
    found = await run_on_each(MODES, monkeypatch)
    for name, wrong in found.items():
        tally.add(f"lies of a Docker daemon: {name.partition(':')[0]}", not wrong, wrong, 0)
