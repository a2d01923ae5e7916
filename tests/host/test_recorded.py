"""Recorded hosts: all sensors over a v1 host without systemd and a v2 host with it."""

import json
import shutil
from pathlib import Path

import pytest

from density.host import HostReader, SlicePaths
from density.host.hierarchies import cgroup_version, find_hierarchies, slice_paths

FIXTURES = Path(__file__).parent / "fixtures"
SLICES = {
    "debian12-v1": "density20261124080000abcd.partition",
    "debian12-v2-systemd": "density20261124080000abcd.slice",
}


def paths_of(host: str) -> SlicePaths:
    """The recorded slice of a recorded host."""
    return slice_paths(find_hierarchies(FIXTURES / host), SLICES[host])


@pytest.mark.parametrize("host", sorted(SLICES))
def test_values(host: str) -> None:
    """Every value of a recorded host; shares of CPU need two samples, and sockets a kernel, so those are missing."""
    reader = HostReader(FIXTURES / host, disks={}, bridges=["docker0"], daemons={"dockerd": 100}, slice=paths_of(host))
    expected = json.loads((FIXTURES / f"{host}.json").read_text())
    assert reader.read() == pytest.approx(expected)
    assert set(reader.unavailable()) == {"network.ports", "daemon.dockerd.waiting"}


@pytest.mark.parametrize(("host", "version", "systemd"), [("debian12-v1", 1, "no"), ("debian12-v2-systemd", 2, "yes")])
def test_facts(host: str, version: int, systemd: str) -> None:
    """The fingerprint tells the two hosts apart."""
    facts = HostReader(FIXTURES / host, disks={}).facts()
    assert facts["cgroup_version"] == version
    assert facts["systemd"] == systemd
    assert facts["distribution"] == "Debian GNU/Linux 12 (bookworm)"
    assert facts["kvm"] == "no /dev/kvm"
    assert str(facts["virtualised"]).startswith("yes")


def test_slice_on_v1_is_a_directory_in_each_hierarchy() -> None:
    """Each controller has its own directory, and pressure is found under the v2 mount beside them."""
    paths = paths_of("debian12-v1")
    assert paths.version == 1
    assert {controller: path.parent.name for controller, path in paths.controllers.items()} == {
        name: name for name in ("cpu", "cpuacct", "cpuset", "memory", "pids")
    } | {"hugetlb": "unified"}
    assert paths.unified is not None


def test_slice_on_v2_is_one_directory() -> None:
    """All controllers are in the one directory."""
    paths = paths_of("debian12-v2-systemd")
    assert paths.version == 2
    assert set(paths.controllers.values()) == {paths.unified}


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    """A host whose mounts cannot be seen has cgroup version 0, and its reader says what it lacks instead of failing."""
    assert cgroup_version(find_hierarchies(tmp_path)) == 0
    reader = HostReader(tmp_path, disks={"runs": tmp_path / "none"}, bridges=["br0"], daemons={"d": 1})
    assert reader.read() == {}
    assert {"memory", "cpu", "tasks", "files", "pressure", "disk.runs", "network.bridge.br0", "daemon.d"} <= set(
        reader.unavailable()
    )


def recorded_slice(tmp_path: Path) -> Path:
    """A copy of the recorded v2 host's slice, whose events a test may let happen."""
    copy = tmp_path / "host"
    shutil.copytree(FIXTURES / "debian12-v2-systemd", copy, symlinks=True)
    return copy


def happen(root: Path, *, own_hits: int, kills: int) -> None:
    """Events of the slice: hits of its own limit, and processes killed in it and below."""
    directory = root / "sys/fs/cgroup" / SLICES["debian12-v2-systemd"]
    (directory / "memory.events.local").write_text(f"low 0\nhigh 0\nmax 76\noom {own_hits}\noom_kill 0\n")
    (directory / "memory.events").write_text(f"low 0\nhigh 0\nmax 79\noom {own_hits + 1}\noom_kill {kills}\n")


def kills_of(reader: HostReader) -> float:
    """What the slice says of kills now."""
    return reader.read()["slice.oom_kills"]


def test_hits_of_the_limit_are_no_kills(tmp_path: Path) -> None:
    """On v2 the limit may be hit again and again; what counts is who was killed, and by this limit."""
    root = recorded_slice(tmp_path)
    paths = slice_paths(find_hierarchies(root), SLICES["debian12-v2-systemd"])
    reader = HostReader(root, disks={}, slice=paths)
    assert kills_of(reader) == 0  # what was counted before the run is not the run's
    happen(root, own_hits=7, kills=1)
    assert kills_of(reader) == 0  # five hits, and nobody was killed
    happen(root, own_hits=8, kills=2)
    assert kills_of(reader) == 1  # one of the six hits killed
    happen(root, own_hits=8, kills=5)
    assert kills_of(reader) == 1  # three were killed by their own limits, or by the host's
    happen(root, own_hits=10, kills=9)
    assert kills_of(reader) == 3  # two hits killed two at most, whatever else was killed


def test_a_hit_that_killed_nobody_explains_no_later_kill(tmp_path: Path) -> None:
    """An instance that is killed at its own limit a second after the slice was full was not killed by the slice."""
    root = recorded_slice(tmp_path)
    reader = HostReader(root, disks={}, slice=slice_paths(find_hierarchies(root), SLICES["debian12-v2-systemd"]))
    kills_of(reader)
    happen(root, own_hits=7, kills=1)
    assert kills_of(reader) == 0
    happen(root, own_hits=7, kills=2)
    assert kills_of(reader) == 0
