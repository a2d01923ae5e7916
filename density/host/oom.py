"""How often a cgroup's own memory limit led to an out-of-memory kill, on cgroup v1."""

import os
from contextlib import suppress
from pathlib import Path

from density.host.reading import Unavailable


def parse_oom_kills(text: str) -> int:
    """The count of `oom_kill` in /proc/vmstat (Linux 4.13 and later) or memory.events; 0 where it is not told."""
    counts = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    return int(counts.get("oom_kill", 0))


class OomCounter:
    """Counts kills from now on, through an eventfd that the kernel raises at the cgroup whose limit was hit.

    Kills in any cgroup below it are counted if this limit caused them; those by a limit further down are not. The
    kernel may raise it several times for one kill, so no more are counted than there were on the host meanwhile.

    Raises:
        Unavailable: not on this kernel, or not allowed.
    """

    def __init__(self, directory: Path, *, root: Path = Path("/")) -> None:
        self._count, self._raised = 0, 0
        self._host = root / "proc/vmstat"
        self._host_kills = self._killed_on_host()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            with (directory / "memory.oom_control").open("rb", buffering=0) as control:
                _register(directory / "cgroup.event_control", f"{self._event} {control.fileno()}")
        except OSError as error:
            raise Unavailable(f"{directory}: no out-of-memory events: {error.strerror}") from error

    def read(self) -> int:
        """Kills since this counter was made."""
        with suppress(BlockingIOError):
            self._raised += os.eventfd_read(self._event)
        before, self._host_kills = self._host_kills, self._killed_on_host()
        if self._host_kills > before:
            self._count += min(self._raised, self._host_kills - before)
            self._raised = 0
        return self._count

    def _killed_on_host(self) -> int:
        try:
            return parse_oom_kills(self._host.read_text())
        except OSError:
            return 0

    def __del__(self) -> None:
        os.close(self._event)


def _register(file: Path, words: str) -> None:
    """This file can only be written: what Python's modes for writing do besides, the kernel refuses."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, words.encode())
    finally:
        os.close(descriptor)
