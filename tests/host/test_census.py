"""The census of processes, on a made-up /proc and on this host's own."""

import ctypes
import os
import subprocess
from itertools import count
from pathlib import Path

import pytest

from density.host.census import KINDS, Census, Process, look, parse_status

HOST = dict.fromkeys(KINDS, "4026531840")


def make_process(
    root: Path, pid: int, *, exe: str = "/bin/x", files: tuple[str, ...] = (), net: str = HOST["net"]
) -> Path:
    """A process in the host's namespaces, but for that of the network where another is given."""
    directory = root / "proc" / str(pid)
    for part in ("ns", "fd", "fdinfo"):
        (directory / part).mkdir(parents=True)
    if exe:
        (directory / "exe").symlink_to(exe)
    for kind, number in (HOST | {"net": net}).items():
        (directory / "ns" / kind).symlink_to(f"{kind}:[{number}]")
    for place, target in enumerate(files):
        (directory / "fd" / str(place)).symlink_to(target)
        (directory / "fdinfo" / str(place)).write_text("pos:\t0\ninotify wd:1 ino:2\ninotify wd:2 ino:3\n")
    (directory / "status").write_text("Name:\tx\nUid:\t1000\t1001\t1000\t1000\nThreads:\t4\n")
    (directory / "limits").write_text("Limit  Soft Limit  Hard Limit  Units\nMax processes  96365  96365  processes\n")
    return directory


def census_of(root: Path) -> Census:
    """One for which time stands still, so that a busy machine does not spread it."""
    return Census(root, clock=lambda: 0.0)


def end_process(directory: Path) -> None:
    """It is gone; without its directory's content nothing can be read of it."""
    directory.rename(directory.with_name("gone"))


def test_namespaces_are_counted_once_however_many_processes_are_in_them(tmp_path: Path) -> None:
    """Two processes of one container, one of another, and two of the host: three of the kind that containers have."""
    for pid, own in enumerate(["", "", "1", "1", "2"], start=1):
        make_process(tmp_path, pid, net=own or HOST["net"])
    values = census_of(tmp_path).read()
    assert values["namespaces.net.count"] == 3
    assert values["namespaces.mnt.count"] == 1


def test_what_ended_is_forgotten(tmp_path: Path) -> None:
    """A container's namespaces go with its last process."""
    make_process(tmp_path, 1)
    container = make_process(tmp_path, 2, net="1")
    census = census_of(tmp_path)
    assert census.read()["namespaces.net.count"] == 2
    end_process(container)
    assert census.read()["namespaces.net.count"] == 1


def test_a_process_that_was_new_is_looked_at_again(tmp_path: Path) -> None:
    """It may have been seen between fork and unshare."""
    process = make_process(tmp_path, 1)
    census = census_of(tmp_path)
    census.read()
    (process / "ns/net").unlink()
    (process / "ns/net").symlink_to("net:[7]")
    make_process(tmp_path, 2)
    assert census.read()["namespaces.net.count"] == 2


def test_old_processes_are_looked_at_now_and_then(tmp_path: Path) -> None:
    """What an old process opens is seen within 128 readings."""
    process = make_process(tmp_path, 5)
    census = census_of(tmp_path)
    for _ in range(3):
        census.read()
    (process / "fd/9").symlink_to("anon_inode:inotify")
    (process / "fdinfo/9").write_text("inotify wd:1 ino:2\n")
    readings = [census.read().get("inotify.uid1001.instances_count", 0) for _ in range(128)]
    assert readings[-1] == 1


def test_a_census_that_takes_too_long_is_spread_and_tells_only_whole_pictures(tmp_path: Path) -> None:
    """While later processes wait to be looked at, the last complete values stay."""
    ticks = count(0, 0.002)
    make_process(tmp_path, 1)
    census = Census(tmp_path, clock=lambda: next(ticks))
    assert census.read()["namespaces.net.count"] == 1
    for pid in range(2, 22):
        make_process(tmp_path, pid, net=str(pid))
    told = [census.read()["namespaces.net.count"] for _ in range(30)]
    assert set(told) == {1, 21}
    assert told[-1] == 21


def test_inotify_counts_against_the_effective_user(tmp_path: Path) -> None:
    """Each instance with its watches; root is told of also without any."""
    make_process(tmp_path, 1, files=("/dev/null", "anon_inode:inotify", "anon_inode:inotify"))
    values = census_of(tmp_path).read()
    assert values["inotify.uid1001.instances_count"] == 2
    assert values["inotify.uid1001.watches_count"] == 4
    assert values["inotify.uid0.instances_count"] == 0


def test_what_follows_logs_is_told_apart_from_what_instances_watch(tmp_path: Path) -> None:
    """A daemon's inotify instances are part of the user's, and known as nobody's cost; a shim's are an instance's."""
    make_process(tmp_path, 1, exe="/usr/bin/dockerd (deleted)", files=("anon_inode:inotify",) * 3)
    make_process(tmp_path, 2, exe="/usr/bin/containerd-shim-runc-v2", files=("anon_inode:inotify",))
    values = census_of(tmp_path).read()
    assert values["inotify.uid1001.instances_count"] == 4
    assert values["inotify.uid1001.shared_instances_count"] == 3
    assert values["inotify.uid1001.watches_count"] == 8
    assert values["inotify.uid1001.shared_watches_count"] == 6


def test_a_daemon_that_holds_more_than_it_did_is_looked_at_each_time(tmp_path: Path) -> None:
    """Logs that are no longer followed are seen by the next census, not within 128."""
    daemon = make_process(tmp_path, 129, exe="/usr/bin/dockerd", files=("anon_inode:inotify",))
    census = census_of(tmp_path)
    census.read()
    for number in (7, 8):
        (daemon / f"fd/{number}").symlink_to("anon_inode:inotify")
        (daemon / f"fdinfo/{number}").write_text("inotify wd:1 ino:2\n")
    most = max(census.read()["inotify.uid1001.instances_count"] for _ in range(128))
    for number in (7, 8):
        (daemon / f"fd/{number}").unlink()
    assert most == 3
    assert census.read()["inotify.uid1001.instances_count"] == 1


def test_tasks_of_qemu_are_held_against_its_own_limit(tmp_path: Path) -> None:
    """Threads of all VMs of a user together."""
    for pid in (1, 2):
        make_process(tmp_path, pid, exe="/usr/bin/qemu-system-x86_64")
    make_process(tmp_path, 3)
    values = census_of(tmp_path).read()
    assert values["qemu.tasks_count"] == 8
    assert values["qemu.tasks_limit"] == 96365


def test_threads_of_the_kernel_hold_nothing(tmp_path: Path) -> None:
    """They have no program."""
    assert look(make_process(tmp_path, 2, exe="")) == Process()


def test_an_older_kernel_lacks_a_kind(tmp_path: Path) -> None:
    """The other kinds are counted all the same."""
    process = make_process(tmp_path, 1)
    (process / "ns/cgroup").unlink()
    values = census_of(tmp_path).read()
    assert values["namespaces.cgroup.count"] == 0
    assert values["namespaces.net.count"] == 1


def test_status() -> None:
    """The second uid is the effective one."""
    assert parse_status("Name:\ta: b\nUid:\t1\t2\t3\t4\nThreads:\t12\n") == (2, 12)


@pytest.mark.root
def test_a_real_namespace_and_a_real_inotify_instance_are_counted() -> None:
    """On this host: one more of each with a process that has them; both go again."""
    census = Census(Path("/"))
    before = {**census.read()}
    inotify = ctypes.CDLL(None, use_errno=True).inotify_init()
    try:
        own = look(Path(f"/proc/{os.getpid()}"))
        assert (own.inotify, own.shared) == (1, True)
    finally:
        os.close(inotify)
    with subprocess.Popen(["unshare", "--uts", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # `cat` answers only once it has been started inside the new namespace.
        process.stdin.write(b"x\n")
        process.stdin.flush()
        process.stdout.readline()
        own = look(Path(f"/proc/{process.pid}"))
        assert own.namespaces[KINDS.index("uts")] != look(Path("/proc/self")).namespaces[KINDS.index("uts")]
        assert before["namespaces.uts.count"] >= 1
        process.stdin.close()
