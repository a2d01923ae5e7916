"""How often a cgroup's own memory limit led to an out-of-memory kill, on cgroup v1 and v2."""

import os
from contextlib import suppress
from pathlib import Path

from density.host.reading import HotFile, Unavailable, parse_pairs

_EVENTS = {"oom": "oom", "oom_kill": "oom_kill"}


def parse_oom_kills(text: str) -> int:
    """The count of `oom_kill` in /proc/vmstat (Linux 4.13 and later) or memory.events; 0 where it is not told."""
    counts = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    return int(counts.get("oom_kill", 0))


class OomEvents:
    """Counts kills from now on, from the event files of cgroup v2.

    `oom` of memory.events.local is how often the cgroup's own limit was hit with nothing left to take back: that is no
    kill yet, and may be counted several times for one. `oom_kill` of memory.events is how many processes in it or below
    were killed, also by a limit further down or by the host. The kernel kills at once where it does, so between two
    readings no more are counted than were killed, nor more than there were hits; a hit explains no later kill.

    Raises:
        Unavailable: the cgroup has no memory events.
    """

    def __init__(self, directory: Path) -> None:
        self._hits_file = HotFile(directory / "memory.events.local")
        self._kills_file = HotFile(directory / "memory.events")
        self._count = 0
        self._hits, self._kills = self._events()

    def read(self) -> int:
        """Kills since this counter was made.

        Raises:
            Unavailable: the cgroup was removed.
        """
        hits, kills = self._events()
        self._count += max(0, min(hits - self._hits, kills - self._kills))
        self._hits, self._kills = hits, kills
        return self._count

    def _events(self) -> tuple[int, int]:
        hits, kills = (parse_pairs(file.read(), _EVENTS) for file in (self._hits_file, self._kills_file))
        return int(hits.get("oom", 0)), int(kills.get("oom_kill", 0))


class OomCounter:
    """Counts kills from now on, through an eventfd that the kernel raises at the cgroup whose limit was hit.

    Kills in any cgroup below it are counted if this limit caused them; those by a limit further down are not. The
    kernel may raise it several times for one kill, or for none, so between two readings no more are counted than there
    were on the host.

    Raises:
        Unavailable: not on this kernel, or not allowed.
    """

    def __init__(self, directory: Path, *, root: Path = Path("/")) -> None:
        self._event = -1
        self._count = 0
        self._host = root / "proc/vmstat"
        self._host_kills = self._killed_on_host()
        try:
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            with (directory / "memory.oom_control").open("rb", buffering=0) as control:
                _register(directory / "cgroup.event_control", f"{self._event} {control.fileno()}")
        except OSError as error:
            raise Unavailable(f"{directory}: no out-of-memory events: {error.strerror}") from error

    def read(self) -> int:
        """Kills since this counter was made."""
        raised = 0
        with suppress(BlockingIOError):
            raised = os.eventfd_read(self._event)
        before, self._host_kills = self._host_kills, self._killed_on_host()
        self._count += max(0, min(raised, self._host_kills - before))
        return self._count

    def _killed_on_host(self) -> int:
        try:
            return parse_oom_kills(self._host.read_text())
        except OSError:
            return 0

    def __del__(self) -> None:
        if self._event >= 0:
            os.close(self._event)


def _register(file: Path, words: str) -> None:
    """This file can only be written: what Python's modes for writing do besides, the kernel refuses."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, words.encode())
    finally:
        os.close(descriptor)
