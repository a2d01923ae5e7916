"""The catalogue, and reading it from a host's values."""

import re
from pathlib import Path

import pytest

from density.ceilings.catalog import BY_ID, CATALOG, readings
from density.ceilings.errors import EXHAUSTION, OTHER_KINDS, classify
from density.ceilings.page import page
from density.ceilings.reading import Bounds, Reading
from density.profile.spec import Objectives, Reserve

VALUES = {
    "memory.total_bytes": 16e9,
    "memory.available_bytes": 12e9,
    "tasks.count": 300.0,
    "tasks.pid_max": 32768.0,
    "tasks.threads_max": 128_000.0,
    "files.open": 2000.0,
    "files.max": 1e6,
    "slice.memory_bytes": 1e9,
    "slice.memory_limit_bytes": 2e9,
    "slice.tasks": 20.0,
    "slice.tasks_limit": 40.0,
    "daemon.dockerd.fds": 100.0,
    "daemon.dockerd.fds_limit": 1024.0,
    "network.bridge.docker0.ports_count": 12.0,
    "network.bridge.docker0.addresses_count": 65533.0,
    "disk.docker.total_bytes": 1e12,
    "disk.docker.available_bytes": 4e11,
    "disk.docker.inodes": 1e7,
    "disk.docker.inodes_free": 9e6,
    "memory.overcommit_mode": 2.0,
    "memory.committed_bytes": 3e9,
    "memory.commit_limit_bytes": 8e9,
    "daemon.dockerd.maps_count": 276.0,
    "daemon.dockerd.waiting_count": 0.0,
    "daemon.dockerd.waiting_limit": 4096.0,
    "daemon.dockerd.busy_cpus": 0.5,
    "maps.limit": 65530.0,
    "cpu.count": 2.0,
    "inotify.uid0.instances_count": 40.0,
    "inotify.uid0.watches_count": 80.0,
    "inotify.instances_limit": 128.0,
    "inotify.watches_limit": 8192.0,
    "network.neighbours.v4.entries_count": 40.0,
    "network.neighbours.v4.entries_limit": 1024.0,
    "network.conntrack.count": 9.0,
    "network.conntrack.limit": 262144.0,
    "network.backlog.limit": 1000.0,
    "network.ports.used_count": 3.0,
    "network.ports.limit": 28232.0,
    "keys.uid0.count": 43.0,
    "keys.uid0.limit": 1e6,
    "keys.uid0.used_bytes": 2840.0,
    "keys.uid0.limit_bytes": 25e6,
    "mounts.host.count": 101.0,
    "mounts.limit": 1e5,
    "namespaces.net.count": 41.0,
    "namespaces.net.limit": 96365.0,
    "cgroups.memory_count": 66.0,
    "aio.requests_count": 1024.0,
    "aio.requests_limit": 65536.0,
    "ptys.count": 1.0,
    "ptys.limit": 3072.0,
    "qemu.tasks_count": 40.0,
    "qemu.tasks_limit": 96365.0,
    "cpu.busy_ratio": 0.4,
    "pressure.cpu.some_ratio": 0.1,
    "pressure.memory.some_ratio": 0.2,
    "pressure.io.some_ratio": 0.3,
    "slo.ready.web.p95_seconds": 1.0,
    "slo.probe.web.p99_seconds": 0.001,
    "slo.failures.web.failed_ratio": 0.02,
    "tester.lag_seconds": 0.01,
    "memory.swap_total_bytes": 2e9,
    "memory.swap_free_bytes": 1e9,
    "memory.hugepages_count": 512.0,
    "memory.hugepages_free_count": 500.0,
    "disk.thin_pool.used_count": 90.0,
    "disk.thin_pool.limit": 100.0,
    "network.pools.used_count": 5.0,
    "network.pools.limit": 31.0,
    "engine.locks_count": 10.0,
    "engine.locks_limit": 2048.0,
    "bpf.jit_bytes": 1e6,
    "bpf.jit_limit_bytes": 2.6e8,
    "ipc.semaphores_count": 1.0,
    "ipc.semaphores_limit": 32000.0,
    "ipc.shared_memory_bytes": 1e6,
    "ipc.shared_memory_limit_bytes": 64e6,
}
DOCS = Path(__file__).parents[2] / "docs/ceilings.md"
DIRECTIVES = {"LimitNOFILE", "LimitNPROC", "MemoryMax", "TasksMax"}
EVERY_OBJECTIVE = Objectives(
    ready_p95_seconds=5,
    probe_p99_seconds=0.1,
    failures_share=0.01,
    cpu_busy_share=0.9,
    cpu_pressure_share=0.5,
    memory_pressure_share=0.5,
    io_pressure_share=0.5,
    tester_lag_seconds=1,
)


def by_id(**changes: float) -> dict[str, Reading]:
    """Readings of VALUES with changes (dots as double underscores)."""
    values = VALUES | {name.replace("__", "."): value for name, value in changes.items()}
    bounds = Bounds(Reserve(memory_bytes=10**9, tasks=1600), EVERY_OBJECTIVE)
    return {reading.ceiling: reading for reading in readings(values, bounds)}


def test_every_ceiling_of_the_catalogue_is_read() -> None:
    """A host that tells everything gives a reading of each entry that is its own, so no name there is misspelt."""
    assert set(by_id()) == {ceiling.id for ceiling in CATALOG if not ceiling.own}


def test_ids_are_public_words_and_appear_once() -> None:
    """Two words with a dot, or one; ids are a contract with dashboards."""
    assert len(BY_ID) == len(CATALOG)
    assert all(re.fullmatch(r"[a-z]+(\.[a-z_]+)?", ceiling.id) for ceiling in CATALOG)
    assert all(ceiling.fix.text and ceiling.resource for ceiling in CATALOG)


def test_errors_in_the_catalogue_are_kinds_that_failures_have() -> None:
    """A kind that nothing gives would never lead to its ceiling."""
    assert all(ceiling.errors <= EXHAUSTION | OTHER_KINDS for ceiling in CATALOG)


def test_what_the_host_does_not_tell_has_no_reading() -> None:
    """An empty host stops nothing."""
    assert list(readings({}, Bounds())) == []


def test_the_reserve_is_taken_off_the_room() -> None:
    """32,768 tasks with 300 in use and 1,600 in reserve leave 30,868."""
    assert by_id()["tasks.pid_max"].room == 32768 - 1600 - 300
    assert by_id()["memory.available"].used == 4e9


def test_a_small_file_system_keeps_a_tenth_of_itself() -> None:
    """/run is often smaller than the reserve of a disk, and must not stop every run before it starts."""
    values = {"disk.runtime.total_bytes": 800e6, "disk.runtime.available_bytes": 790e6}
    assert [reading.reserve for reading in readings(values, Bounds())] == [80e6]


def test_subjects_with_dots_in_their_names_are_read() -> None:
    """A VLAN bridge is called br0.100."""
    values = {"network.bridge.br0.100.ports_count": 7.0}
    assert [reading.subject for reading in readings(values, Bounds())] == ["br0.100"]


def test_the_tester_is_one_of_the_processes_whose_files_are_watched() -> None:
    """It holds a socket an instance, so it may be the first to run out."""
    values = VALUES | {"tester.fds": 900.0, "tester.fds_limit": 1024.0}
    found = {r.subject: r.room for r in readings(values, Bounds()) if r.ceiling == "files.process"}
    assert found == {"dockerd": 1024 - 100 - 64, "tester": 1024 - 900 - 64}


def test_the_nearest_unit_is_read_beside_the_slice() -> None:
    """TasksMax of a daemon's unit and limits around the tester are ceilings of their own, each with a reserve."""
    values = VALUES | {
        "own.tasks": 50.0,
        "own.tasks_limit": 4915.0,
        "daemon.dockerd.tasks": 700.0,
        "daemon.dockerd.tasks_limit": 4915.0,
        "daemon.dockerd.memory_bytes": 1e9,
        "daemon.dockerd.memory_limit_bytes": 2e9,
    }
    found = {reading.key: reading.room for reading in readings(values, Bounds())}
    assert found["tasks.cgroup", ""] == 20
    assert found["tasks.cgroup", "tester"] == 4915 - 50 - 64
    assert found["tasks.cgroup", "dockerd"] == 4915 - 700 - 64
    assert found["memory.cgroup", "dockerd"] == 1e9 - 256 * 2**20


def test_what_the_kernel_takes_back_at_once_is_no_use_of_a_slice() -> None:
    """Cached pages of files do not bring a slice nearer to its limit."""
    assert by_id(slice__inactive_file_bytes=4e8)["memory.cgroup"].used == 6e8


def test_overcommit_is_a_ceiling_only_where_the_kernel_refuses_to() -> None:
    """In the modes 0 and 1 nothing is held against the commit limit."""
    assert "memory.commit" not in by_id(memory__overcommit_mode=0)


def test_what_may_be_full_without_harm_is_never_past_its_limit() -> None:
    """A table of neighbours that holds one more than its limit, and a daemon that a rounding makes 2.1 of 2 CPUs."""
    found = by_id(network__neighbours__v4__entries_count=1025, daemon__dockerd__busy_cpus=2.1)
    assert found["network.neighbours"].room == 0
    assert found["engine.overload"].room == 0


def test_the_page_for_people_is_the_catalogue() -> None:
    """After a change: python -c "from density.ceilings.page import page; print(page(), end='')" > docs/ceilings.md."""
    assert DOCS.read_text() == page()


def test_fixes_turn_knobs_that_exist() -> None:
    """Every kernel parameter that a fix names is one of this kernel, if it has that part at all."""
    paths = [Path("/proc/sys", *name.split(".")) for ceiling in CATALOG for name in ceiling.fix.sysctls]
    present = [path for path in paths if path.parent.is_dir()]
    assert [path for path in present if not path.exists()] == []
    assert len(present) > 15
    assert all(ceiling.fix.directive in {"", *DIRECTIVES} for ceiling in CATALOG)


def test_kernel_parameters_in_the_command_are_those_that_a_script_would_set() -> None:
    """Each is named in the text, so that a person and a script turn the same knob."""
    assert all(name in ceiling.fix.text for ceiling in CATALOG for name in ceiling.fix.sysctls)


def test_the_fix_of_an_instances_own_limit_names_its_workload() -> None:
    """The knob is in the profile, in the table of that workload."""
    own = [ceiling for ceiling in CATALOG if ceiling.own]
    assert len(own) == 5
    assert all("workload web" in ceiling.fix.of("web") for ceiling in own)


def test_an_unset_limit_is_no_ceiling() -> None:
    """A limit of 0 stands for none."""
    assert "tasks.cgroup" not in by_id(slice__tasks_limit=0)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("adding interface veth1 to bridge docker0 failed: exchange full", "exchange_full"),
        ("no available IPv4 addresses on this network's address pools: small", "no_address"),
        ("unable to join session keyring: unable to create session key: disk quota exceeded", "quota"),
        ("fork/exec /proc/self/exe: resource temporarily unavailable", "try_again"),
        ("runtime: failed to create new OS thread (have 2 already; errno=11)", "try_again"),
        ("error during container init: read init-p: connection reset by peer", "try_again"),
        ("can't get final child's PID from pipe: EOF", "try_again"),
        ("open /dev/null: too many open files in system", "files_in_system"),
        ("accept4: too many open files", "too_many_files"),
        ("failed to create inotify instance: too many open files", "inotify"),
        ("inotify_add_watch /x: no space left on device", "inotify_watches"),
        ("nsexec: failed to unshare namespaces: unshare: No space left on device", "no_namespace"),
        ("mkdir /sys/fs/cgroup/memory/docker/4f: no space left on device", "no_cgroup"),
        ("open /dev/ptmx: no space left on device", "pty"),
        ("dial unix /var/run/docker.sock: connect: resource temporarily unavailable", "overloaded"),
        ("unshare: unshare failed: No space left on device", "no_namespace"),
        ("error creating overlay mount to /var/lib/docker/overlay2/9-init/merged: no space left on device", "no_space"),
        ('error mounting "tmpfs" to rootfs at "/dev": mount tmpfs:/dev: no space left on device', "no_space"),
        ("arp_cache: neighbor table overflow!", "table_full"),
        ("write /var/lib/x: no space left on device", "no_space"),
        ("cannot set up guest memory 'pc.ram': Cannot allocate memory", "no_memory"),
        ("Unable to use linux-aio: failed to create linux AIO context: Resource temporarily unavailable", "aio"),
        ("No such image: nowhere:latest", "no_image"),
        ("driver failed programming external connectivity: port is already allocated", "port_taken"),
        ("the moon is in the wrong phase", "engine"),
    ],
)
def test_an_engines_words_have_a_class(message: str, kind: str) -> None:
    """Words as engines really say them (see the issues named in the catalogue's sources)."""
    assert classify(message) == kind
