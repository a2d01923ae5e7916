"""Real ceilings of containers, each induced on a real Docker daemon and named by the verdict."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attribution.conftest import Attribute
from attribution.induced import RAMP, SAFE, used
from attribution.lowering import lowered
from engines.contract import short_directory
from support.dockerd import Dockerd

from density.host.hierarchies import find_hierarchies

pytestmark = [pytest.mark.docker, pytest.mark.root]


def web(endpoint: str = "", *, table: str = "", ramp: str = RAMP, more: str = "") -> str:
    """A profile of containers that do nothing.

    Args:
        endpoint: of another daemon than the host's own.
        table: more tables of the profile.
        ramp: its table.
        more: more keys of the workload.
    """
    engines = f'[engines]\ndocker = "{endpoint}"\n' if endpoint else ""
    return f'{ramp}\n{engines}\n{table}\n[workloads.web]\nengine = "docker"\n{more}\n'


ROOM = 20
"""Instances that a lowered limit leaves room for."""
FILL_MOUNTS = """
mount --make-rprivate /
mount -t tmpfs fill "$1"
mkdir "$1/at"
left=$(($2 - $(wc -l < /proc/self/mountinfo)))
while [ $left -gt 0 ]; do mount --bind "$1/at" "$1/at"; left=$((left - 1)); done
shift 2
exec "$@"
"""
"""Bring this mount namespace to so many mounts, then become the command that follows."""


@contextmanager
def tasks_limited(limit: int) -> Iterator[list[str]]:
    """A cgroup with so many tasks at most, as a command that runs another one in it."""
    hierarchy = next(each for each in find_hierarchies(Path("/")) if "pids" in each.controllers)
    cgroup = hierarchy.directory / "density-induced"
    cgroup.mkdir()
    try:
        (cgroup / "pids.max").write_text(str(limit))
        yield ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(cgroup)]
    finally:
        cgroup.rmdir()


@contextmanager
def user_namespace() -> Iterator[list[str]]:
    """A user namespace where every user is itself, as a command that runs another one in it.

    The limits of /proc/sys/user hold in each user namespace for itself, so that nobody else feels a low one. Its mounts
    are its own too, for it may change no others.
    """
    command = ["unshare", "--user", "--mount", "--propagation", "private", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        print("there", file=holder.stdin)
        holder.stdout.readline()
        for ids in ("uid_map", "gid_map"):
            Path("/proc", str(holder.pid), ids).write_text(f"0 0 {2**32 - 2}")
        yield ["nsenter", "--target", str(holder.pid), "--user", "--mount"]
        # The end of its input is the holder's end, also if we are killed.


@contextmanager
def full_bridge(name: str, *, ports: int) -> Iterator[str]:
    """A bridge with so many ports taken. The other ends are in a network namespace, with which they all go."""
    filler = f"{name}-filler"
    batch = [
        f"link add {name}-{port} master {name} type veth peer name p{port} netns {filler}" for port in range(ports)
    ]
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "netns", "add", filler], check=True)
        try:
            subprocess.run(["ip", "-batch", "-"], input="\n".join(batch), text=True, check=True)
            yield name
        finally:
            subprocess.run(["ip", "netns", "delete", filler], check=True)
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a daemon of our own lives; the paths of its sockets must be short."""
    with short_directory() as found:
        yield found


@contextmanager
def small_disk(directory: Path, *, size: str, inodes: int) -> Iterator[Path]:
    """A file system of this size, mounted from a file."""
    image, mount = directory / "disk.img", directory / "disk"
    subprocess.run(["truncate", "-s", size, image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", "-N", str(inodes), image], check=True)
    mount.mkdir()
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True)


@contextmanager
def docker_network(name: str, *options: str) -> Iterator[str]:
    """A network of the host's own daemon."""
    subprocess.run(["docker", "network", "create", *options, name], check=True, stdout=subprocess.DEVNULL)
    try:
        yield name
    finally:
        subprocess.run(["docker", "network", "rm", name], check=True, stdout=subprocess.DEVNULL)


def test_addresses_of_a_network(attribute: Attribute) -> None:
    """A /28 has 13 addresses for containers."""
    with docker_network("density-induced", "--subnet", "10.213.77.0/28") as network:
        profile = web(more=f'network = "{network}"')
        attribute(
            profile,
            expect="network.addresses",
            evidence=["stood at 13 of 13 addresses", "no available IPv4 addresses"],
            fix="bigger subnet",
            counts=(13, 13),
        )


def test_addresses_of_a_network_without_a_bridge(attribute: Attribute) -> None:
    """A macvlan network of /28 has 13 addresses for containers, which no device of the host shows."""
    parent = f"dt{os.getpid()}"
    subprocess.run(["ip", "link", "add", parent, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", parent, "up"], check=True)
    options = ("--driver", "macvlan", "--subnet", "10.213.78.0/28", "--opt", f"parent={parent}")
    try:
        with docker_network("density-induced", *options) as network:
            attribute(
                web(more=f'network = "{network}"'),
                expect="network.addresses",
                subject=network,
                evidence=["stood at 13 of 13 addresses", "no available IPv4 addresses"],
                fix="bigger subnet",
                counts=(13, 13),
            )
    finally:
        subprocess.run(["ip", "link", "delete", parent], check=True)


def test_tasks_of_the_slice(attribute: Attribute) -> None:
    """A slice of 30 tasks denies forks; starting a container takes more of them for a moment than it keeps."""
    profile = web(table="[slice]\ntasks = 30")
    attribute(
        profile,
        expect="tasks.cgroup",
        subject="",
        evidence=[r"stood at (2\d|30) of 30 tasks"],
        fix="`tasks` in [slice]",
        counts=(15, 30),
    )


def test_memory_of_the_slice(attribute: Attribute) -> None:
    """A slice of 200 MiB holds a dozen containers that touch 12 MiB each, then the kernel kills."""
    profile = web(table='[slice]\nmemory = "200MiB"', more='touch = "12MiB"')
    attribute(
        profile,
        expect="memory.cgroup",
        subject="",
        evidence=[r"the kernel killed \d+ processes in the slice", r"stood at .* of 200 MiB"],
        fix="`memory` in [slice]",
        counts=(10, 16),
    )


def test_open_files_of_the_daemon(attribute: Attribute, directory: Path) -> None:
    """A daemon that may open 160 files has some 30 of its own and takes 6 a container."""
    with Dockerd(directory, within=["prlimit", "--nofile=160:160"]) as endpoint:
        attribute(
            web(endpoint),
            expect="files.process",
            subject="dockerd",
            evidence=["too many open files", r"stood at 1\d\d of 160 files"],
            fix="LimitNOFILE",
        )


def test_space_of_the_disk(attribute: Attribute, directory: Path, tmp_path: Path) -> None:
    """The daemon keeps its containers on a disk of 5 MiB, of which a tenth stays free."""
    with small_disk(tmp_path, size="5M", inodes=4000) as disk, Dockerd(directory, data_root=disk) as endpoint:
        attribute(
            web(endpoint),
            expect="disk.space",
            subject="docker",
            evidence=[r"stood at"],
            fix="disk space",
        )


def test_space_of_the_daemons_state(attribute: Attribute, directory: Path) -> None:
    """The daemon keeps the state of what runs in a file system in memory of 2 MiB, of which a tenth stays free."""
    state = directory / "exec"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "density-state", state], check=True)
    with Dockerd(directory) as endpoint:
        attribute(
            web(endpoint),
            expect="disk.space",
            subject="docker-state",
            evidence=[r"stood at [\d.]+ MiB of 2 MiB"],
            fix="disk space",
        )


def test_inodes_of_the_disk(attribute: Attribute, directory: Path, tmp_path: Path) -> None:
    """The daemon keeps its containers on a disk with 1,500 inodes, of which a tenth stays free."""
    with small_disk(tmp_path, size="128M", inodes=1500) as disk, Dockerd(directory, data_root=disk) as endpoint:
        attribute(
            web(endpoint),
            expect="disk.inodes",
            subject="docker",
            evidence=[r"stood at"],
            fix="mkfs.ext4 -N",
        )


def test_tasks_of_the_daemons_unit(attribute: Attribute, directory: Path) -> None:
    """Shims live in their daemon's cgroup and take a dozen tasks each; 64 are kept there, to remove them with."""
    with tasks_limited(260) as within, Dockerd(directory, within=within) as endpoint:
        attribute(
            web(endpoint, ramp=SAFE),
            expect="tasks.cgroup",
            evidence=[r"stood at \d+ of 260 tasks"],
            fix="TasksMax=infinity",
        )


@pytest.mark.parametrize("kind", ["net", "ipc"])
def test_namespaces(attribute: Attribute, directory: Path, kind: str) -> None:
    """A container has a namespace of each kind; of the one kind, density and a daemon's user may make 20 more."""
    with user_namespace() as within:
        parameter = f"/proc/sys/user/max_{kind}_namespaces"
        subprocess.run([*within, "sh", "-c", f"echo {ROOM} > {parameter}"], check=True)
        with Dockerd(directory, within=within) as endpoint:
            attribute(
                web(endpoint),
                expect="namespaces.user",
                subject=kind,
                evidence=[rf"stood at \d+ of {ROOM} namespaces", "can't get final child's PID"],
                fix=f"user.max_{kind}_namespaces",
                within=within,
            )


def test_keys(attribute: Attribute) -> None:
    """A container has a session key, which is root's."""
    limit = used("keys.uid0.count") + ROOM
    with lowered("kernel.keys.root_maxkeys", limit):
        attribute(
            web(),
            expect="keys.user",
            subject="uid0",
            evidence=["disk quota exceeded", rf"stood at \d+ of {limit} keys"],
            fix="kernel.keys.root_maxkeys",
        )


def test_size_of_keys(attribute: Attribute) -> None:
    """The kernel says the same when it is the size of the keys and not their number."""
    limit = used("keys.uid0.used_bytes") + ROOM * 70
    with lowered("kernel.keys.root_maxbytes", limit):
        attribute(
            web(),
            expect="keys.bytes",
            subject="uid0",
            evidence=["disk quota exceeded", "stood at"],
            fix="kernel.keys.root_maxbytes",
        )


def test_mounts(attribute: Attribute, directory: Path, tmp_path: Path) -> None:
    """The daemon's own mount namespace is nearly full; the host's stays far below what is allowed meanwhile."""
    limit = used("mounts.host.count") + 300
    script = tmp_path / "fill"
    script.write_text(FILL_MOUNTS)
    within = ["unshare", "--mount", "sh", str(script), str(tmp_path), str(limit - 2 * ROOM - 20)]
    with lowered("fs.mount-max", limit), Dockerd(directory, within=within) as endpoint:
        attribute(
            web(endpoint),
            expect="mounts.namespace",
            evidence=[r"mounts.namespace \w+d stood at", rf"stood at \d+ of {limit} mounts", "no space left on device"],
            fix="fs.mount-max",
        )


def test_ports_of_a_bridge(attribute: Attribute) -> None:
    """A bridge has 1,023 ports, and all but a few are taken."""
    with full_bridge("densitybr0", ports=1023 - ROOM) as bridge:
        named = f"com.docker.network.bridge.name={bridge}"
        with docker_network("density-induced", "--subnet", "10.213.77.0/24", "-o", named) as network:
            attribute(
                web(more=f'network = "{network}"'),
                expect="network.bridge_ports",
                subject=bridge,
                evidence=["exchange full", "stood at 1,023 of 1,023 ports"],
                fix="several networks",
                counts=(ROOM, ROOM),
            )


def test_process_ids(attribute: Attribute) -> None:
    """Running out of process ids takes a host down, so a ramp stops before its reserve, also when it wants failures."""
    with lowered("kernel.pid_max", used("tasks.count") + 500 + ROOM * 13) as limit:
        attribute(
            web(table="[reserve]\ntasks = 500"),
            expect="tasks.pid_max",
            evidence=[rf"of {limit:,} \(reserve 500\)"],
            fix="kernel.pid_max",
        )


def test_threads(attribute: Attribute) -> None:
    """The same tasks against another limit."""
    with lowered("kernel.threads-max", used("tasks.count") + 500 + ROOM * 13) as limit:
        attribute(
            web(table="[reserve]\ntasks = 500"),
            expect="tasks.threads_max",
            evidence=[rf"of {limit:,} \(reserve 500\)"],
            fix="kernel.threads-max",
        )


def test_files_of_the_host(attribute: Attribute) -> None:
    """Open files of all processes; root may go on past the limit, but a ramp does not."""
    with lowered("fs.file-max", used("files.open") + 1000 + ROOM * 40) as limit:
        attribute(
            web(),
            expect="files.file_max",
            evidence=[rf"of {limit:,} \(reserve 1,000\)"],
            fix="fs.file-max",
        )


def test_memory_of_the_host(attribute: Attribute) -> None:
    """All but 4 GiB of what is available are kept as the reserve."""
    reserve = used("memory.available_bytes") - 4 * 2**30
    attribute(
        web(table=f"[reserve]\nmemory = {reserve}", more='touch = "200MiB"'),
        expect="memory.available",
        evidence=[r"memory\.available at .* \(reserve"],
        fix="less memory",
    )


def test_busy_cpus(attribute: Attribute) -> None:
    """Each payload burns a tenth of a CPU."""
    attribute(
        web(ramp=SAFE, table='[objectives]\ncpu_busy = "90%"', more='burn = "10%"'),
        expect="cpu.busy",
        evidence=[r"an objective was missed with \d+ ready: cpu\.busy at (9\d|100)"],
        fix="more CPUs",
    )


def test_late_pings(attribute: Attribute) -> None:
    """Payloads that each burn a quarter of a CPU answer late once there is none left."""
    attribute(
        web(ramp=SAFE, table='[objectives]\nprobe_p99 = "20ms"', more='burn = "25%"'),
        expect="slo.probe",
        evidence=[r"an objective was missed with \d+ ready: slo\.probe \(web\) at"],
        fix="more CPUs",
    )
