"""The reader as a whole and the sensors that keep something between samples: bridges, daemons, limits of one's own."""

import os
import subprocess
from pathlib import Path

import pytest

from density.host import HostReader
from density.host.daemons import DescriptorCounter
from density.host.network import BridgeSensor
from density.host.own import OwnSensor


def test_this_host_is_read() -> None:
    """On the real /proc every host sensor works, and the numbers are those of a living machine."""
    reader = HostReader(disks={"runs": Path("/")})
    values = reader.read()
    assert 0 < values["memory.available_bytes"] < values["memory.total_bytes"]
    assert values["tasks.count"] > 1
    assert values["tester.fds"] >= 3
    assert 0 < values["disk.runs.available_bytes"] <= values["disk.runs.total_bytes"]
    assert 0 <= reader.read().get("cpu.busy_ratio", 0.0) <= 1


def test_an_ended_daemon_is_reported_and_stops_nothing() -> None:
    """Its values are gone with it, the reason is said, and the rest is read on; its successor takes the name over."""
    with subprocess.Popen(["sleep", "60"]) as daemon:
        reader = HostReader(disks={}, daemons={"d": daemon.pid})
        assert reader.read()["daemon.d.threads"] == 1
        daemon.kill()
    values = reader.read()
    assert "daemon.d.threads" not in values
    assert "memory.total_bytes" in values
    assert "No such process" in reader.unavailable()["daemon.d"]
    reader.add_daemons({"d": os.getpid()})
    assert reader.read()["daemon.d.rss_bytes"] > 0
    assert "daemon.d" not in reader.unavailable()


def test_an_unknown_format_stops_nothing(tmp_path: Path) -> None:
    """A file that a later kernel writes in another way costs its own values only."""
    (tmp_path / "proc/sys/fs").mkdir(parents=True)
    fields = ("MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "Shmem", "Active", "Inactive", "SwapTotal")
    (tmp_path / "proc/meminfo").write_text("".join(f"{name}: 5 kB\n" for name in (*fields, "SwapFree")))
    (tmp_path / "proc/vmstat").write_text("pswpin 0\npswpout 0\n")
    (tmp_path / "proc/sys/fs/file-nr").write_text("many\n")
    reader = HostReader(tmp_path, disks={})
    assert reader.read()["memory.total_bytes"] == 5 * 1024
    assert "not understood" in reader.unavailable()["files"]


def test_a_disk_that_comes_later_is_read_then(tmp_path: Path) -> None:
    """A directory that does not exist yet is unavailable until it does."""
    later = tmp_path / "later"
    reader = HostReader(disks={"later": later})
    assert "disk.later.total_bytes" not in reader.read()
    assert "disk.later" in reader.unavailable()
    later.mkdir()
    assert reader.read()["disk.later.total_bytes"] > 0
    assert "disk.later" not in reader.unavailable()


def test_a_file_system_is_read_once(tmp_path: Path) -> None:
    """Of two directories on one disk the first counts, and the first engine's takes that place."""
    reader = HostReader(disks={"runs": tmp_path, "runtime": tmp_path, "shm": Path("/dev/shm")})
    assert _disks(reader) == {"runs", "shm"}
    reader.add_disks({"docker": tmp_path})
    reader.add_disks({"libvirt": tmp_path})
    assert _disks(reader) == {"docker", "shm"}
    reader.add_disks({"docker": tmp_path})
    assert _disks(reader) == {"docker", "shm"}


def _disks(reader: HostReader) -> set[str]:
    return {name.split(".")[1] for name in reader.read() if name.startswith("disk.")}


def test_open_files_of_this_process_are_counted() -> None:
    """A descriptor more is one more, whichever way this kernel is asked."""
    counter = DescriptorCounter(Path("/proc/self/fd"))
    before = [counter.read() for _ in range(10)][-1]
    with Path("/dev/null").open():
        assert [counter.read() for _ in range(10)][-1] == before + 1


def make_bridge(root: Path, *, devices: int, ports: int) -> None:
    """A fake /sys with so many virtual devices and ports of br0."""
    for number in range(devices):
        (root / f"sys/devices/virtual/net/d{number}").mkdir(parents=True, exist_ok=True)
    for number in range(ports):
        port = root / f"sys/class/net/br0/brif/p{number}"
        port.parent.mkdir(parents=True, exist_ok=True)
        port.touch()


def read_ports(sensor: BridgeSensor) -> float:
    """The one value of a bridge."""
    return sensor.read()["network.bridge.br0.ports_count"]


def test_ports_are_counted_when_devices_come(tmp_path: Path) -> None:
    """A new device and its port show at once; one that is plugged in after it was first seen shows a read later."""
    make_bridge(tmp_path, devices=1, ports=1)
    sensor = BridgeSensor("br0", tmp_path)
    assert read_ports(sensor) == 1
    make_bridge(tmp_path, devices=2, ports=2)
    assert read_ports(sensor) == 2
    make_bridge(tmp_path, devices=3, ports=2)
    assert read_ports(sensor) == 2
    make_bridge(tmp_path, devices=3, ports=3)
    assert read_ports(sensor) == 3


def test_ports_are_never_staler_than_ten_reads(tmp_path: Path) -> None:
    """Old devices that are plugged in without any coming or going are seen all the same."""
    make_bridge(tmp_path, devices=3, ports=1)
    sensor = BridgeSensor("br0", tmp_path)
    for _ in range(3):
        read_ports(sensor)
    make_bridge(tmp_path, devices=3, ports=3)
    assert [read_ports(sensor) for _ in range(10)][-1] == 3


def make_unit(root: Path, cgroup: str, **files: str) -> None:
    """A cgroup of a fake v2 host, with the test's process in it; the files' dots are written as underscores."""
    mount = "30 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/mountinfo").write_text(mount)
    (root / "proc/self/cgroup").write_text(f"0::{cgroup}\n")
    directory = root / "sys/fs/cgroup" / cgroup.lstrip("/")
    directory.mkdir(parents=True, exist_ok=True)
    (root / "sys/fs/cgroup/cgroup.controllers").write_text("memory pids\n")
    for name, text in files.items():
        (directory / name.replace("_", ".")).write_text(text)


def test_own_limit_is_the_ancestor_with_least_room(tmp_path: Path) -> None:
    """A generous unit inside a tight slice is bound by the slice."""
    make_unit(tmp_path, "/a.slice", pids_current="90\n", pids_max="100\n", memory_current="5\n", memory_max="max\n")
    make_unit(tmp_path, "/a.slice/b.service", pids_current="3\n", pids_max="500\n")
    assert OwnSensor("own", "self", tmp_path).read() == {"own.tasks": 90, "own.tasks_limit": 100}


def test_what_daemons_share_is_read_once(tmp_path: Path) -> None:
    """A unit's limit is one ceiling, by the name of the first of its daemons; another unit's is another."""
    for unit, pids in (("docker.service", (11, 12)), ("libvirtd.service", (13,))):
        make_unit(tmp_path, f"/{unit}", pids_current="9\n", pids_max="100\n")
        for pid in pids:
            (tmp_path / f"proc/{pid}").mkdir()
            (tmp_path / f"proc/{pid}/cgroup").write_text(f"0::/{unit}\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    reader = HostReader(tmp_path, disks={}, daemons={"dockerd": 11, "containerd": 12})
    reader.add_daemons({"libvirtd": 13})
    assert {name for name in reader.read() if name.endswith(".tasks")} == {
        "daemon.dockerd.tasks",
        "daemon.libvirtd.tasks",
    }
    reader.add_daemons({"dockerd": 11})
    assert reader.read()["daemon.dockerd.tasks_limit"] == 100


def test_no_limit_of_ones_own_gives_no_values(tmp_path: Path) -> None:
    """Without limits there is nothing to be near to."""
    make_unit(tmp_path, "/a.slice", pids_current="90\n", pids_max="max\n")
    assert OwnSensor("own", "self", tmp_path).read() == {}


@pytest.mark.parametrize("cgroup", ["/", "/../elsewhere"])
def test_cgroups_out_of_sight_give_no_values(tmp_path: Path, cgroup: str) -> None:
    """At the top, and where a container's mount does not show the own cgroup, there are no limits to read."""
    make_unit(tmp_path, "/x")
    (tmp_path / "proc/self/cgroup").write_text(f"0::{cgroup}\n")
    assert OwnSensor("own", "self", tmp_path).read() == {}
