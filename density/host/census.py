"""What can only be known by looking at every process: namespaces, inotify, the tasks of QEMU.

A process is looked at when it is new, once more at the next census (it may have been between fork and exec or unshare
before), and then now and again. So a census costs what came since the last one: listing 680 processes takes 0.3 ms,
looking at one 20 us (a sleeping program) to 150 us (a shim with a dozen files). A census that would take too long is
spread over several, and tells the last whole picture until it is done.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from density.host.daemons import parse_soft_limit
from density.host.reading import Unavailable

KINDS = ("net", "mnt", "pid", "ipc", "uts", "cgroup", "user")
"""Kinds of namespaces that have a limit in /proc/sys/user; a link in /proc/PID/ns is named like it."""

DAEMONS = frozenset({"containerd", "dockerd", "libvirtd", "podman", "virtlogd", "virtlxcd", "virtqemud"})
"""Programs of engines of which one serves all instances: what they watch is none that an instance takes, but that of
who follows logs. A shim or a monitor, of which each instance has one, is part of the instance."""

_INOTIFY = "anon_inode:inotify"
_FIRST_SECONDS = 0.5
_BOX_SECONDS = 0.004
_AGAIN = 128


@dataclass(frozen=True, slots=True)
class Process:
    """What one process holds.

    Attributes:
        namespaces: its links, in the order of KINDS.
        uid: against whom inotify and tasks count; 0 where it holds neither.
        inotify: instances; watches: in all of them.
        qemu_tasks: threads, if it is a QEMU that runs as another user than root.
        tasks_limit: how many that user may have (RLIMIT_NPROC); 0 where there is no limit.
        shared: it is density itself or an engine's daemon, so no instance's.
    """

    namespaces: tuple[str, ...] = ()
    uid: int = 0
    inotify: int = 0
    watches: int = 0
    qemu_tasks: int = 0
    tasks_limit: float = 0.0
    shared: bool = False


_NOTHING = Process()


class Census:
    """`namespaces.KIND.count`, `inotify.uidN.{instances_count,watches_count}`, `qemu.{tasks_count,tasks_limit}`.

    `inotify.uidN.shared_{instances,watches}_count` is what density itself and the engines' daemons hold of the former.
    A daemon holds an instance for everyone who follows a log, for as long as it is followed: so a daemon that holds
    more than it once did is looked at in every census.

    A namespace that no process is in (kept by a mount or an open file alone) is not counted. Of root (uid 0) inotify is
    always told, of other users if they have any.

    Raises:
        Unavailable: no /proc, or not root.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc = root / "proc"
        self._clock = clock
        self._known: dict[str, Process] = {}
        self._again: list[str] = []
        self._queue: list[str] = []
        self._fewest: dict[str, int] = {}
        self._values: Mapping[str, float] = {}
        self._changed = True
        self._turn = 0
        if root == Path("/") and os.geteuid() != 0:
            raise Unavailable("only root can look at other users' processes")
        self._pids()

    def read(self) -> Mapping[str, float]:
        """The values of the last whole census."""
        if not self._queue:
            self._enlist()
        until = self._clock() + (_BOX_SECONDS if self._values else _FIRST_SECONDS)
        while self._queue and self._clock() < until:
            pid = self._queue.pop()
            found = look(self._proc / pid)
            self._changed = self._changed or self._known.get(pid) != found
            self._known[pid] = found
            if found.shared:
                self._fewest[pid] = min(found.inotify, self._fewest.get(pid, found.inotify))
        if not self._values or (self._changed and not self._queue):
            self._values = _sum(self._known.values())
            self._changed = False
        return self._values

    def _enlist(self) -> None:
        """Who is to be looked at now: the new, those that were new last time, and one in 128 of the others."""
        pids = self._pids()
        for gone in self._known.keys() - pids:
            del self._known[gone]
            self._fewest.pop(gone, None)
            self._changed = True
        new = sorted(pids - self._known.keys())
        self._turn = (self._turn + 1) % _AGAIN
        turn = [pid for pid in self._known if int(pid) % _AGAIN == self._turn]
        more = [pid for pid, fewest in self._fewest.items() if self._known[pid].inotify > fewest]
        again = dict.fromkeys([*turn, *more, *(pid for pid in self._again if pid in pids)])
        self._queue = [*again, *new]
        self._again = new

    def _pids(self) -> set[str]:
        try:
            return set(filter(str.isdigit, os.listdir(self._proc)))  # noqa: PTH208 — names alone, of 30,000 processes
        except OSError as error:
            raise Unavailable(f"{self._proc}: {error.strerror}") from error


def look(directory: Path) -> Process:
    """What the process of /proc/PID holds; nothing where it is gone, a thread of the kernel, or not ours to see."""
    path = str(directory)
    try:
        program = os.readlink(f"{path}/exe")  # noqa: PTH115 — a Path for each of ten links of each process costs too much
        namespaces = tuple(_namespaces(path))
        watches = list(_watches(path))
    except OSError:
        return _NOTHING
    # A program that was replaced since it started: "/usr/bin/dockerd (deleted)".
    name = program.rpartition("/")[2].removesuffix(" (deleted)")
    qemu = name.startswith("qemu-")
    uid, tasks, limit = _account(directory) if qemu or watches else (0, 0, 0.0)
    return Process(
        namespaces,
        uid,
        len(watches),
        sum(watches),
        tasks if qemu and uid else 0,
        limit,
        shared=name in DAEMONS or path == f"/proc/{os.getpid()}",
    )


def parse_status(text: str) -> tuple[int, int]:
    """Effective uid and number of threads from /proc/PID/status."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(lines["Uid"].split()[1]), int(lines["Threads"])


def _account(directory: Path) -> tuple[int, int, float]:
    uid, tasks = parse_status((directory / "status").read_text())
    limit = parse_soft_limit((directory / "limits").read_text(), "Max processes")
    return uid, tasks, limit or 0.0


def _namespaces(path: str) -> Iterator[str]:
    for kind in KINDS:
        try:
            yield os.readlink(f"{path}/ns/{kind}")  # noqa: PTH115 — as above
        except FileNotFoundError:
            yield ""  # a kernel without this kind


def _watches(path: str) -> Iterator[int]:
    """Of each inotify instance the number of watches."""
    for name in os.listdir(f"{path}/fd"):  # noqa: PTH208 — Path objects of every open file of the host cost too much
        try:
            if os.readlink(f"{path}/fd/{name}") == _INOTIFY:  # noqa: PTH115 — as above
                yield Path(path, "fdinfo", name).read_text().count("inotify wd:")
        except FileNotFoundError:
            continue  # closed meanwhile


def _sum(processes: Collection[Process]) -> dict[str, float]:
    # Most processes share all their namespaces with others, so whole sets of them are told apart first.
    together = {process.namespaces for process in processes if process.namespaces}
    if not together:
        return {}
    values = {
        f"namespaces.{kind}.count": float(len(set(links) - {""}))
        for kind, links in zip(KINDS, zip(*together, strict=True), strict=False)
    }
    values |= _inotify([process for process in processes if process.inotify])
    return values | _qemu([process for process in processes if process.qemu_tasks])


def _inotify(holders: Collection[Process]) -> dict[str, float]:
    values: dict[str, float] = {}
    for uid in sorted({0} | {process.uid for process in holders}):
        own = [process for process in holders if process.uid == uid]
        values[f"inotify.uid{uid}.instances_count"] = float(sum(process.inotify for process in own))
        values[f"inotify.uid{uid}.watches_count"] = float(sum(process.watches for process in own))
        shared = [process for process in own if process.shared]
        values[f"inotify.uid{uid}.shared_instances_count"] = float(sum(process.inotify for process in shared))
        values[f"inotify.uid{uid}.shared_watches_count"] = float(sum(process.watches for process in shared))
    return values


def _qemu(machines: Collection[Process]) -> dict[str, float]:
    """Of the user with most tasks in QEMU, where there are several."""
    tasks: Counter[int] = Counter()
    for process in machines:
        tasks[process.uid] += process.qemu_tasks
    if not tasks:
        return {}
    uid, count = tasks.most_common(1)[0]
    limit = min(
        (process.tasks_limit for process in machines if process.uid == uid and process.tasks_limit), default=0.0
    )
    return {"qemu.tasks_count": float(count)} | ({"qemu.tasks_limit": limit} if limit else {})
