"""The comparison of the host before and after all tests: it sees what they might leave."""

import socket
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from support.host_state import differences, leftovers, observe

from density.host.slice import slice_name

LINK = "density-test0"


def test_what_is_more_and_what_is_less() -> None:
    """One line each, by kind; what is the same is not told."""
    before = {"link": frozenset({"lo", "docker0"}), "sysctl": frozenset({"vm/swappiness = 60"})}
    after = {"link": frozenset({"lo", "veth1"}), "sysctl": frozenset({"vm/swappiness = 10"})}
    assert differences(before, before) == []
    assert differences(before, after) == [
        "link: docker0 is gone",
        "link: veth1 is left",
        "sysctl: vm/swappiness = 60 is gone",
        "sysctl: vm/swappiness = 10 is left",
    ]


@pytest.mark.root
def test_it_sees_a_link_a_cgroup_and_a_mount(tmp_path: Path) -> None:
    """Made by this test, and gone again afterwards."""
    cgroup = next(path for path in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if path.is_dir()) / LINK
    before = observe()
    subprocess.run(["ip", "link", "add", LINK, "type", "bridge"], check=True)
    cgroup.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True)
    during = differences(before, observe())
    subprocess.run(["umount", tmp_path], check=True)
    cgroup.rmdir()
    subprocess.run(["ip", "link", "delete", LINK], check=True)
    assert {f"link: {LINK} is left", f"cgroup: {cgroup} is left", f"mount: {tmp_path} is left"} <= set(during)
    assert not [line for line in differences(before, observe()) if LINK in line or str(tmp_path) in line]


def test_leftovers_of_a_run_are_found_by_its_id() -> None:
    """A process by its environment, a directory, a socket and its file; a process that is no more is none."""
    run_id = f"density-test-{uuid4().hex}"
    directory = Path(f"/tmp/density-{run_id}")
    directory.mkdir()
    waiting = subprocess.Popen(["sleep", "60"], env={"RUN": run_id})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "socket"))
        found = leftovers(run_id)
    waiting.kill()
    waiting.wait()
    (directory / "socket").unlink()
    directory.rmdir()
    assert [line.partition(" ")[0] for line in found] == ["file:", "file:", "process:", "socket:"]
    assert leftovers(run_id) == []


@pytest.mark.root
def test_leftovers_of_a_run_are_cgroups_too() -> None:
    """A slice has its run's id without hyphens."""
    run_id = f"20000101-000000-{uuid4().hex[:4]}"
    base = next(path for path in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")) if path.is_dir())
    cgroup = base / f"{slice_name(run_id)}.partition"
    cgroup.mkdir()
    found = leftovers(run_id)
    cgroup.rmdir()
    assert found == [f"cgroup: {cgroup}"]
    assert leftovers(run_id) == []
