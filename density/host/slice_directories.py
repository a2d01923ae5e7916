"""Making, limiting, emptying and removing cgroups by their directories; nothing here waits."""

import fcntl
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from density.host.hierarchies import Hierarchy, SlicePaths
from density.host.slice_limits import Limits, SliceUnavailable

_WANTED_V2 = ("memory", "pids", "cpu", "io", "cpuset")
_LEAF = "processes"
_CPU_PERIOD_US = 100_000


def make_directories(hierarchies: Iterable[Hierarchy], name: str, *, delegate: bool) -> list[Path]:
    """The slice's directory in every hierarchy, ready to hold engines' cgroups; returns `cgroup.procs` files for pids.

    libvirt and runc want it under every hierarchy that is mounted, a v2 mount without controllers included, and v1's
    cpuset filled. On v2 a cgroup that has controllers for its children cannot hold processes: those go to a leaf.

    Args:
        hierarchies: where.
        name: of the directory.
        delegate: turn controllers on for the children (v2); systemd does that itself.

    Raises:
        SliceUnavailable: not allowed, or not possible here.
    """
    procs = []
    for hierarchy in hierarchies:
        directory = hierarchy.directory / name
        try:
            directory.mkdir(exist_ok=True)
            if "cpuset" in hierarchy.controllers and hierarchy.version == 1:
                _fill_cpuset(directory)
            if hierarchy.version == 2 and hierarchy.controllers:
                if delegate:
                    _enable(hierarchy.directory, hierarchy.controllers)
                    _enable(directory, hierarchy.controllers)
                directory /= _LEAF
                directory.mkdir(exist_ok=True)
        except OSError as error:
            raise SliceUnavailable(f"cannot make {directory}: {error.strerror}; a slice needs root") from error
        procs.append(directory / "cgroup.procs")
    return procs


def set_limits(paths: SlicePaths, limits: Limits) -> None:
    """Write the limits to the kernel; swap is not a way around the memory limit.

    Raises:
        SliceUnavailable: a controller is missing, or the kernel refuses.
    """
    if limits.memory_bytes:
        if paths.version == 2:
            _write(paths, "memory", "memory.max", limits.memory_bytes)
            _write_if_there(paths, "memory", "memory.swap.max", 0)
        else:
            _write(paths, "memory", "memory.limit_in_bytes", limits.memory_bytes)
            _write_if_there(paths, "memory", "memory.memsw.limit_in_bytes", limits.memory_bytes)
    if limits.tasks:
        _write(paths, "pids", "pids.max", limits.tasks)
    if limits.cpus:
        quota = round(limits.cpus * _CPU_PERIOD_US)
        if paths.version == 2:
            _write(paths, "cpu", "cpu.max", f"{quota} {_CPU_PERIOD_US}")
        else:
            _write(paths, "cpu", "cpu.cfs_period_us", _CPU_PERIOD_US)
            _write(paths, "cpu", "cpu.cfs_quota_us", quota)


def lock(directory: Path) -> int | None:
    """A descriptor that marks this slice as in use until it is closed, by a crash too; None where another holds it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def populated(directory: Path) -> bool:
    """Whether a process lives in this cgroup or anywhere below it."""
    with suppress(OSError):
        return "populated 1" in (directory / "cgroup.events").read_text()
    for parent, _, _ in os.walk(directory):
        with suppress(OSError):
            if (Path(parent) / "cgroup.procs").read_text():
                return True
    return False


def count_processes(directory: Path) -> int:
    """Processes in this cgroup and everywhere below it; those that this pid namespace cannot name are counted too."""
    return _count(directory, "cgroup.procs")


def count_tasks(directory: Path) -> int:
    """The same of processes and threads that live."""
    return _count(directory, "tasks" if (directory / "tasks").exists() else "cgroup.threads")


def _count(directory: Path, name: str) -> int:
    count = 0
    for parent, _, _ in os.walk(directory):
        with suppress(OSError):
            count += len((Path(parent) / name).read_text().split())
    return count


def end_processes(directories: Iterable[Path]) -> int:
    """Kill what lives in these cgroups or anywhere below them; what has ended by then, or is not ours, is no error.

    Returns:
        How many processes were killed.
    """
    killed: set[int] = set()
    for directory in directories:
        for parent, _, _ in os.walk(directory):
            for pid in _members(Path(parent)):
                with suppress(OSError):  # such as another user's, in a cgroup that was delegated to us
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
        with suppress(OSError):  # v2, Linux 5.14: at once, also what was forked meanwhile
            _write_existing(directory / "cgroup.kill", "1")
    return len(killed)


def remove_directories(directories: Sequence[Path]) -> list[Path]:
    """Remove these cgroups, children first, as far as they are empty; returns those that are left."""
    for directory in directories:
        for parent, _, _ in os.walk(directory, topdown=False):
            with suppress(OSError):
                Path(parent).rmdir()
    return [directory for directory in directories if directory.exists()]


def _members(directory: Path) -> list[int]:
    """Processes of this cgroup itself; those that this pid namespace cannot name are 0 to the kernel."""
    with suppress(OSError):
        return [pid for pid in map(int, (directory / "cgroup.procs").read_text().split()) if pid]
    return []


def _fill_cpuset(directory: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = directory / name
        if not file.read_text().strip():
            _write_existing(file, (directory.parent / name).read_text())


def _enable(directory: Path, available: frozenset[str]) -> None:
    """Turn on what there is, one by one; a limit whose controller stayed off fails by name when it is written."""
    for controller in _WANTED_V2:
        if controller in available:
            with suppress(OSError):
                _write_existing(directory / "cgroup.subtree_control", f"+{controller}")


def _write_existing(file: Path, text: str) -> None:
    """The kernel answers "permission denied" to making a file in cgroupfs; say rather that it is not there."""
    with file.open("r+") as opened:
        opened.write(text)


def _write(paths: SlicePaths, controller: str, name: str, value: int | str) -> None:
    if controller not in paths.controllers:
        raise SliceUnavailable(f"no limit on {controller}: no cgroup hierarchy has that controller")
    file = paths.controllers[controller] / name
    try:
        _write_existing(file, str(value))
    except OSError as error:
        raise SliceUnavailable(f"cannot write {value} to {file}: {error.strerror}") from error


def _write_if_there(paths: SlicePaths, controller: str, name: str, value: int) -> None:
    if (paths.controllers[controller] / name).exists():
        _write(paths, controller, name, value)
