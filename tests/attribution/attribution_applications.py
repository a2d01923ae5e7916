"""Applications of users, each failing by itself at another limit: what density says of them, on a real Docker daemon.

The native engine runs density's own payload only, so there is no application that it could run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from attribution.attribution_docker import small_disk
from attribution.induced import used
from attribution.lowering import lowered, lowered_text
from attribution.suite import TOLD, Application, Place, programs_image, run_application
from engines.test_applications import FIXED_PORT, NEVER_READY
from support.dockerd import Dockerd

pytestmark = [pytest.mark.docker, pytest.mark.root]

SLICE_MIB = 200


@pytest.fixture(autouse=True)
def calm() -> None:
    """Limits that say no do so on a busy host as well, so nothing is waited for."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image with every program."""
    return programs_image(tmp_path_factory.mktemp("programs"))


@contextmanager
def few_inotify_instances(place: Place) -> Iterator[Place]:
    """96 for each user."""
    with lowered("fs.inotify.max_user_instances", used("inotify.uid0.instances_count") + 60):
        yield place


@contextmanager
def few_inotify_watches(place: Place) -> Iterator[Place]:
    """Room for 1,000 more."""
    with lowered("fs.inotify.max_user_watches", used("inotify.uid0.watches_count") + 1000):
        yield place


@contextmanager
def few_files(place: Place) -> Iterator[Place]:
    """Room for 4,000 above what is kept for the host; programs with CAP_SYS_ADMIN are not bound by it."""
    with lowered("fs.file-max", used("files.open") + 1000 + 4000):
        yield place


@contextmanager
def few_aio_requests(place: Place) -> Iterator[Place]:
    """As many as a host has by default."""
    with lowered("fs.aio-max-nr", 65536):
        yield place


@contextmanager
def few_ports(place: Place) -> Iterator[Place]:
    """60 ports that the kernel gives out."""
    with lowered_text("net.ipv4.ip_local_port_range", "61000\t61059"):
        yield place


@contextmanager
def own_daemon(place: Place, *, size: str, inodes: int) -> Iterator[Place]:
    """A daemon that keeps its containers on a small disk."""
    with (
        small_disk(place.files, size=size, inodes=inodes) as disk,
        Dockerd(place.directory, data_root=disk) as endpoint,
    ):
        yield replace(place, endpoint=endpoint)


APPLICATIONS = (
    Application(
        name="threads of a pool",
        command=("threads", "20"),
        table="[slice]\ntasks = 200",
        wanted="tasks.cgroup",
        subject="",
        fix="`tasks` in [slice]",
        said="unable to create native thread: Resource temporarily unavailable",
        counts=(4, 9),
    ),
    Application(
        name="processes",
        command=("processes", "8"),
        table="[slice]\ntasks = 100",
        wanted="tasks.cgroup",
        subject="",
        fix="`tasks` in [slice]",
        said="Resource temporarily unavailable",
        counts=(4, 11),
    ),
    Application(
        name="inotify instances",
        command=("inotify_instances", "5"),
        during=few_inotify_instances,
        wanted="inotify.instances",
        subject="uid0",
        fix="fs.inotify.max_user_instances",
        said="Too many open files",
        counts=(4, 12),
    ),
    Application(
        name="inotify watches",
        command=("inotify_watches", "100"),
        during=few_inotify_watches,
        wanted="inotify.watches",
        subject="uid0",
        fix="fs.inotify.max_user_watches",
        said="Failed to add watch: No space left on device",
        counts=(4, 10),
    ),
    Application(
        name="open files of the process",
        command=("files_process", "64", "30"),
        settle="3s",
        wanted="files.instance",
        subject="web",
        fix="open files",
        said="accept4: Too many open files",
        evidence="64 files",
        exit_codes=(3,),
    ),
    Application(
        name="open files of the host",
        command=("files_host", "300"),
        during=few_files,
        wanted="files.file_max",
        fix="fs.file-max",
    ),
    Application(
        name="own memory",
        command=("memory", "60", "75", "2"),
        more='memory = "64MiB"',
        settle="4s",
        wanted="memory.instance",
        subject="web",
        fix="`memory` of the workload web",
        evidence="64 MiB",
        exit_codes=(0, 3),  # as chance has it, each of the first four is too large
        counts=(1, 40),
    ),
    NEVER_READY,
    Application(
        name="slow leak, own memory",
        command=("memory", "80", "80", "8"),
        more='memory = "32MiB"',
        settle="6s",
        wanted="memory.instance",
        subject="web",
        fix="`memory` of the workload web",
        evidence="32 MiB",
        exit_codes=(3,),  # every instance died
    ),
    Application(
        name="slow leak, slice",
        command=("memory", "60", "60", "12"),
        table=f'[slice]\nmemory = "{SLICE_MIB}MiB"',
        settle="2s",
        wanted="memory.cgroup",
        subject="",
        fix="`memory` in [slice]",
        evidence=f"{SLICE_MIB} MiB",
    ),
    Application(
        name="memory of the slice",
        command=("memory", "12", "12", "0", "before"),
        table=f'[slice]\nmemory = "{SLICE_MIB}MiB"',
        wanted="memory.cgroup",
        subject="",
        fix="`memory` in [slice]",
        evidence=f"{SLICE_MIB} MiB",
        # 16 stay; the wave of four that is too much may all have been ready before the kernel ends the first.
        counts=(8, 20),
    ),
    Application(
        name="page cache fills the slice",
        command=("page_cache", "12"),
        table=f'[slice]\nmemory = "{SLICE_MIB}MiB"',
        wanted="none",
        outcome="max",
        counts=(40, 40),
    ),
    Application(
        name="/dev/shm",
        command=("shared_memory", "80"),
        settle="3s",
        wanted="ipc.shared_memory",
        fix="/dev/shm",
        said='shared memory segment "/dev/shm/buffers": No space left on device',
        exit_codes=(3,),
    ),
    Application(
        name="data disk",
        command=("data_disk", "4"),
        during=lambda place: own_daemon(place, size="100M", inodes=8000),
        wanted="disk.space",
        subject="docker",
        fix="disk space",
    ),
    Application(
        name="inodes",
        command=("inodes", "150"),
        during=lambda place: own_daemon(place, size="128M", inodes=4000),
        wanted="disk.inodes",
        subject="docker",
        fix="mkfs.ext4 -N",
    ),
    FIXED_PORT,
    Application(
        name="ports of the host",
        command=("port", "0", "8"),
        more='network = "host"',
        during=few_ports,
        wanted="network.ports",
        fix="ip_local_port_range",
        said="Address already in use",
        counts=(4, 7),
    ),
    Application(
        name="aio requests",
        command=("aio", "11026"),
        during=few_aio_requests,
        wanted="aio.requests",
        fix="fs.aio-max-nr",
        said="io_setup() failed: Resource temporarily unavailable",
        counts=(4, 5),
    ),
    Application(
        name="semaphores",
        command=("semaphores", "40000"),
        wanted="ipc.semaphores",
        fix="kernel.sem",
        said="semget: No space left on device",
        exit_codes=(3,),
        counts=(0, 0),
    ),
    Application(
        name="exits by itself",
        command=("exits", "2"),
        settle="4s",
        wanted="slo.failures",
        said="FATAL: DATABASE_URL is not set",
        exit_codes=(3,),
    ),
    Application(
        name="never ready",
        command=("never_ready",),
        more='ready_timeout = "3s"',
        wanted="none",
        outcome="error",
        said="waiting for the database",
        exit_codes=(5,),
        counts=(0, 0),
    ),
)


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda each: each.name.replace(" ", "-"))
def test_application(application: Application, files: bytes, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each verdict names what the application ran into, with the knob that raises it, and nothing below what ran."""
    row, finished = run_application(application, files, tmp_path)
    request.config.stash.setdefault(TOLD, []).append(row)
    assert not row.problems, f"{row}\n{finished.said}\n{finished.document.get('verdict')}"
