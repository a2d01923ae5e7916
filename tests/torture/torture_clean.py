"""`density clean` after runs that died with their reaper: what it finds on real engines, and what it never touches."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt
import pytest
from docker import APIClient
from docker.errors import APIError
from engines.contract import short_directory
from support.dockerd import Dockerd
from support.host_state import settled_leftovers
from support.killed_with_reaper import RAMP, READY_SECONDS, clean, killed_run
from support.libvirtd import libvirtd
from support.running import run_directory, started
from support.tally import Tally
from support.whole_record import flaws, unread

from density.controller.intent import declared

pytestmark = pytest.mark.root
TIMES = 5
NULL = '[workloads.vm]\nengine = "libvirt"\nguest = "null"\naccelerator = "tcg"\n'
WEB = '[workloads.web]\nengine = "docker"\n'
LXC = '[workloads.lxc]\nengine = "libvirt"\nguest = "none"\n[engines]\nlibvirt = "lxc:///system"\n'
PROCESS = '[workloads.process]\nengine = "native"\n'
LOGS = Path("/var/log/libvirt")


def next_run(directory: Path) -> dict[str, Any]:
    """The result of one more run, of plain processes."""
    file = directory / "next.toml"
    file.write_text(RAMP.replace("max = 8", "max = 1").replace("120s", "0s") + PROCESS)
    with started(file, directory / "next") as process:
        out, _ = process.communicate(timeout=READY_SECONDS)
    document: dict[str, Any] = json.loads(out)
    return document


@contextmanager
def strangers() -> Iterator[list[str]]:
    """Somebody else's container, log and VM with names like ours; yields what is missing of them at the end."""
    docker = APIClient(base_url="unix:///var/run/docker.sock", version="auto", timeout=30)
    image = docker.import_image_from_data(b"\0" * 10240, repository="foreign", tag="1")
    image = json.loads(str(image).splitlines()[-1])["status"]
    labels = {"density.run": "production", "internal.density.run": "production"}
    made = docker.create_container(image, ["true"], name="density-prod", labels=labels)["Id"]
    log = LOGS / "qemu" / "density-prod.log"
    log.write_text("mine\n")
    connection = libvirt.open("qemu:///system")
    domain = connection.defineXML(
        "<domain type='qemu'><name>density-prod</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    )
    missing: list[str] = []
    try:
        yield missing
        try:
            docker.inspect_container(made)
        except APIError as error:
            missing.append(f"container: {error}")
        if not log.exists():
            missing.append("log")
        if "density-prod" not in [each.name() for each in connection.listAllDomains()]:
            missing.append("domain")
    finally:
        docker.remove_container(made, force=True)
        docker.remove_image(image, force=True)
        docker.close()
        log.unlink(missing_ok=True)
        domain.undefine()
        connection.close()


@pytest.mark.docker
@pytest.mark.libvirt
@pytest.mark.parametrize("number", range(TIMES))
def test_containers_and_vms(number: int, tally: Tally, tmp_path: Path) -> None:
    """The next run says that they are there; the clean-up removes all of them, and nothing of a stranger's."""
    run_dir = killed_run(tmp_path, WEB + NULL, instances=2 + number, seconds=random.Random(number).uniform(0, 1))
    document = next_run(tmp_path)
    assert any(run_dir.name in warning for warning in document["warnings"])
    with strangers() as missing:
        done = clean()
    left = settled_leftovers(run_dir.name)
    survived = done.returncode == 0 and not missing and not unread(run_dir) and run_dir.name not in declared()
    tally.add("run and reaper killed, containers and VMs", survived, left, len(flaws(run_dir)))


@pytest.mark.lxc
def test_containers_of_libvirt(tally: Tally, tmp_path: Path) -> None:
    """Also what libvirt leaves of them in /run/libvirt/lxc."""
    run_dir = killed_run(tmp_path, LXC, instances=3)
    done = clean()
    left = settled_leftovers(run_dir.name)
    tally.add("run and reaper killed, LXC", done.returncode == 0, left, len(flaws(run_dir)))


@pytest.mark.lxc
def test_containers_of_libvirt_that_were_torn_down(tally: Tally, tmp_path: Path) -> None:
    """A run that ends in order leaves nothing of them either."""
    file = tmp_path / "lxc.toml"
    file.write_text(RAMP.replace("120s", "0s") + LXC)
    with started(file, tmp_path / "runs") as process:
        process.communicate(timeout=READY_SECONDS)
    run_dir = run_directory(tmp_path / "runs")
    assert run_dir is not None
    tally.add("an LXC run to its end", process.returncode == 0, settled_leftovers(run_dir.name), len(flaws(run_dir)))


@pytest.mark.libvirt
def test_vms_that_outlived_their_libvirtd(tally: Tally, tmp_path: Path) -> None:
    """Their daemon is gone for good, so they are known by their command lines alone."""
    with short_directory() as directory:
        with libvirtd(directory) as uri:
            run_dir = killed_run(tmp_path, f'{NULL}[engines]\nlibvirt = "{uri}"\n', instances=2)
        machines = [line for line in settled_leftovers(run_dir.name, seconds=0) if "qemu-system" in line]
        done = clean()
        left = settled_leftovers(run_dir.name)
    survived = done.returncode == 0 and len(machines) >= 2 and run_dir.name in declared()
    tally.add("VMs whose libvirtd is gone", survived, left, len(flaws(run_dir)))
    _forget(run_dir.name)


@pytest.mark.docker
def test_containers_whose_dockerd_comes_back(tally: Tally, tmp_path: Path) -> None:
    """What can be removed without it goes at once; the rest by the endpoint that the dead run declared."""
    with short_directory() as directory:
        daemon = Dockerd(directory)
        with daemon as endpoint:
            run_dir = killed_run(tmp_path, f'{WEB}[engines]\ndocker = "{endpoint}"\n', instances=3)
            daemon.crash()
            first = clean()
            daemon.start()
            second = clean()
            client = APIClient(base_url=endpoint, version="auto", timeout=30)
            left = [f"container: {each['Names']}" for each in client.containers(all=True)]
            client.close()
        left += settled_leftovers(run_dir.name)
    survived = (first.returncode, second.returncode) == (0, 0) and run_dir.name not in declared()
    tally.add("a dockerd that crashes and comes back", survived, left, len(flaws(run_dir)))


def _forget(run_id: str) -> None:
    """What the test itself took away can never be asked again."""
    declared()[run_id].unlink()
