"""Which limits of its own an instance had reached when it failed: by the kernel's log, else by what the engine says."""

import re
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from density.host.hierarchies import find_hierarchies, slice_paths
from density.host.kernel_log import ForkDenied, KernelLog, Logged, MemoryKill
from density.host.leaf import Leaf
from density.host.reading import parse_limit
from density.model import OwnLimit, Placement, Readiness

_KEPT = 1000
_NEAR = 0.95
"""A living instance's memory above this share of its limit is at it: the kernel takes back what it can before."""
_FULL = 0.99
"""What is asked for at once may fail a little below a limit."""
_THROTTLED = 0.5
"""An instance that had no CPU quota left in at least this share of its time was slowed down by the quota."""
_FILES = {
    "memory": ("memory", ("memory.max", "memory.limit_in_bytes"), ("memory.peak", "memory.max_usage_in_bytes")),
    "tasks": ("pids", ("pids.max",), ("pids.peak", "pids.current")),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may use; 0: no limit of its own, or not known."""

    memory_bytes: float = 0.0
    tasks: float = 0.0
    files: float = 0.0


class KernelBook:
    """What the kernel has logged of a run's instances and no failure has been put down to yet."""

    def __init__(self, log: KernelLog | None = None) -> None:
        self._log = log or KernelLog()
        self._waiting: deque[Logged] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    @property
    def readable(self) -> bool:
        """Whether the log can be read at all; else nothing is known rather than nothing having happened."""
        return self._log.readable

    def take(self, *, mark: str = "", pid: int = 0) -> list[Logged]:
        """What was logged of one instance, which is forgotten then; from any thread.

        Args:
            mark: a text that is in the names of the instance's cgroups and in no other's, such as a container's id.
            pid: of its process; 0: not known.
        """
        with self._lock:
            self._waiting.extend(self._log.read())
            mine = [each for each in self._waiting if _is_of(each, mark, pid)]
            for each in mine:
                self._waiting.remove(each)
        return mine


def _is_of(logged: Logged, mark: str, pid: int) -> bool:
    if mark and mark in logged.cgroup:
        return True
    return bool(pid) and isinstance(logged, MemoryKill) and logged.pid == pid


class SliceUse:
    """Whether the run's slice was ever full: then a failure in it may be the slice's doing."""

    def __init__(self, placement: Placement | None, *, root: Path = Path("/")) -> None:
        hierarchies = find_hierarchies(root) if placement else ()
        files = [Path(file) for file in placement.procs_files] if placement else []
        names = {
            file.relative_to(each.directory).parts[0]
            for each in hierarchies
            for file in files
            if each.directory in file.parents
        }
        self._directories = slice_paths(hierarchies, names.pop()).controllers if names else {}

    def was_full(self, what: Literal["memory", "tasks"]) -> bool:
        """Whether the most that it ever used was about its limit; a slice without a limit is never full. Blocks."""
        controller, limits, peaks = _FILES[what]
        directory = self._directories.get(controller)
        if directory is None:
            return False
        limit, peak = _first(directory, limits), _first(directory, peaks)
        return limit is not None and peak is not None and peak >= _FULL * limit


def _first(directory: Path, names: Sequence[str]) -> float | None:
    for name in names:
        with suppress(OSError):
            return parse_limit((directory / name).read_text())
    return None


def memory_killed(logged: Sequence[Logged]) -> MemoryKill | None:
    """The last memory kill among what was logged of an instance."""
    return next((each for each in reversed(logged) if isinstance(each, MemoryKill)), None)


def reached(limits: Limits, logged: Sequence[Logged], *, mark: str, slice_full: bool) -> tuple[OwnLimit, ...]:
    """The limits of its own that an instance reached, as the kernel logged them, the likeliest cause first.

    Args:
        limits: what the instance may use.
        logged: what was logged of it.
        mark: a text that is in the names of its cgroups and in no other's.
        slice_full: the run's slice was at its limit on tasks at some time: the kernel says of a refused fork only that
            it was at the limit of the instance or at one above it.
    """
    found = []
    kills = [each for each in logged if isinstance(each, MemoryKill) and each.limited and mark in each.limited]
    if kills:
        limit = kills[-1].limit_bytes or limits.memory_bytes
        found.append(OwnLimit("memory.instance", kills[-1].used_bytes or limit, limit, len(kills)))
    denied = sum(isinstance(each, ForkDenied) for each in logged)
    if denied and limits.tasks and not slice_full:
        found.append(OwnLimit("tasks.instance", limits.tasks, limits.tasks, denied))
    return tuple(found)


def reached_alive(leaf: Leaf, *, slice_full: bool) -> tuple[OwnLimit, ...]:
    """The limits of its own at which a living instance is held back, the likeliest cause first.

    Args:
        leaf: its cgroup.
        slice_full: the run's slice was at its limit on tasks at some time: older kernels count what that refused in the
            instance's cgroup.
    """
    found = []
    if 0 < leaf.memory_limit_bytes * _NEAR <= leaf.memory_bytes and leaf.memory_refused:
        found.append(OwnLimit("memory.instance", leaf.memory_bytes, leaf.memory_limit_bytes, leaf.memory_refused))
    if leaf.tasks_limit and leaf.tasks_denied and (leaf.tasks >= leaf.tasks_limit or not slice_full):
        found.append(OwnLimit("tasks.instance", leaf.tasks, leaf.tasks_limit, leaf.tasks_denied))
    if 0 < leaf.files_limit <= leaf.files:
        found.append(OwnLimit("files.instance", leaf.files, leaf.files_limit, 1))
    if leaf.cpus_limit and leaf.throttled >= _THROTTLED * max(1, leaf.periods):
        found.append(OwnLimit("cpu.instance", leaf.cpus_limit, leaf.cpus_limit, leaf.throttled))
    return tuple(found)


def candidates(limits: Limits, kind: str, *, counted: bool) -> tuple[OwnLimit, ...]:
    """The limits of its own that fit what an instance said last, where no counter can tell whether it was they.

    Args:
        limits: what the instance may use.
        kind: of what it said, as `density.ceilings.errors` classifies it.
        counted: the kernel's log can be read, which says so where tasks were refused.
    """
    if kind == "too_many_files" and limits.files:
        return (OwnLimit("files.instance", None, limits.files),)
    if kind == "try_again" and limits.tasks and not counted:
        return (OwnLimit("tasks.instance", None, limits.tasks),)
    return ()


ANY_PORT = -1
"""Of a program that lets the kernel choose."""
_TIME = re.compile(r"\d\d:\d\d:\d\d")
_PORT = re.compile(r"(?:(?:^|[\s\d.\]*:]):|\bport:? ?)(\d{1,5})\b(?!\]|[:.]\d)", re.IGNORECASE)


def wanted_port(line: str, ready: Readiness) -> int:
    """The port that was taken: as the program said it, else the one that its readiness waits for.

    0 where that is not known, and ANY_PORT where the program said that it wanted any.

    Args:
        line: what the program said, such as `bind() to 0.0.0.0:80 failed (98: Address already in use)`.
        ready: how the workload is known to be ready.
    """
    if found := _PORT.search(_TIME.sub("", line)):
        return int(found[1]) or ANY_PORT
    port = ready.argument.partition("/")[0] if ready.by in {"tcp", "http"} else ""
    return int(port) if port.isdigit() else 0


def fixed_port(port: int) -> OwnLimit:
    """That an instance wants a port which another instance of its workload has: one a host.

    Args:
        port: 0: not known which, so that it is a guess.
    """
    return OwnLimit("ports.fixed", 1.0, 1.0, hits=1 if port else 0)
