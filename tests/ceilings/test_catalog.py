"""The catalogue, and reading it from a host's values."""

import re

import pytest

from density.ceilings.catalog import BY_ID, CATALOG, readings
from density.ceilings.errors import EXHAUSTION, OTHER_KINDS, classify
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
    "cpu.busy_ratio": 0.4,
    "pressure.cpu.some_avg10_ratio": 0.1,
    "pressure.memory.some_avg10_ratio": 0.2,
    "pressure.io.some_avg10_ratio": 0.3,
    "slo.ready_p95_seconds": 1.0,
    "slo.probe_p99_seconds": 0.001,
    "slo.failures_ratio": 0.02,
    "tester.lag_seconds": 0.01,
}
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
    """A host that tells everything gives a reading of each entry, so no name in the catalogue is misspelt."""
    assert set(by_id()) == set(BY_ID)


def test_ids_are_public_words_and_appear_once() -> None:
    """Two words with a dot; ids are a contract with dashboards."""
    assert len(BY_ID) == len(CATALOG)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", ceiling.id) for ceiling in CATALOG)
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


def test_subjects_with_dots_in_their_names_are_read() -> None:
    """A VLAN bridge is called br0.100."""
    values = {"network.bridge.br0.100.ports_count": 7.0}
    assert [reading.subject for reading in readings(values, Bounds())] == ["br0.100"]


def test_the_tester_is_one_of_the_processes_whose_files_are_watched() -> None:
    """It holds a socket an instance, so it may be the first to run out."""
    values = VALUES | {"tester.fds": 900.0, "tester.fds_limit": 1024.0}
    found = {r.subject: r.room for r in readings(values, Bounds()) if r.ceiling == "files.process"}
    assert found == {"dockerd": 1024 - 100 - 64, "tester": 1024 - 900 - 64}


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
        ("open /dev/null: too many open files in system", "too_many_files"),
        ("write /var/lib/x: no space left on device", "no_space"),
        ("cannot set up guest memory 'pc.ram': Cannot allocate memory", "no_memory"),
        ("failed to create linux AIO context: Resource temporarily unavailable", "try_again"),
        ("No such image: nowhere:latest", "no_image"),
        ("driver failed programming external connectivity: port is already allocated", "port_taken"),
        ("the moon is in the wrong phase", "engine"),
    ],
)
def test_an_engines_words_have_a_class(message: str, kind: str) -> None:
    """Words as engines really say them (see the issues named in the catalogue's sources)."""
    assert classify(message) == kind
