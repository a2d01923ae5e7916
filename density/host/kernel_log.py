"""What the kernel logs of memory kills and refused forks: it alone says which cgroup's limit was the reason."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KMSG = Path("/dev/kmsg")
_RECORD_BYTES = 8192
"""The kernel hands out one record a read, and none is longer."""
_USAGE = re.compile(r"memory: usage (\d+)kB, limit (\d+)kB, failcnt (\d+)")
_KILL = re.compile(
    r"oom-kill:constraint=(\w+),.*?(?:oom_memcg=(?P<limited>[^,]*),|global_oom,)task_memcg=(?P<cgroup>[^,]*),"
    r"task=.*,pid=(?P<pid>\d+),uid=\d+"
)
_DENIED = re.compile(r"cgroup: fork rejected by pids controller in (\S+)")


@dataclass(frozen=True, slots=True)
class MemoryKill:
    """A process that the kernel killed because memory ran out.

    Attributes:
        cgroup: the killed process's own.
        limited: the cgroup whose limit was reached; empty: the host's memory.
        used_bytes, limit_bytes: of `limited`; 0 where the kernel did not say.
        refused: how often `limited` had been at its limit by then.
    """

    pid: int
    cgroup: str
    limited: str
    used_bytes: float = 0.0
    limit_bytes: float = 0.0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class ForkDenied:
    """The first fork or thread that the kernel refused to a cgroup, at its own limit on tasks or one above it."""

    cgroup: str


Logged = MemoryKill | ForkDenied


def parse_kernel_log(messages: Iterable[str]) -> Iterator[Logged]:
    """Kills and refused forks among these messages, in order; other messages are passed over."""
    usage = (0.0, 0.0, 0)
    for message in messages:
        if found := _USAGE.search(message):
            usage = (float(found[1]) * 1024, float(found[2]) * 1024, int(found[3]))
        elif found := _KILL.search(message):
            limited = found["limited"] or ""
            used = usage if limited else (0.0, 0.0, 0)
            yield MemoryKill(int(found["pid"]), found["cgroup"], limited, *used)
            usage = (0.0, 0.0, 0)
        elif found := _DENIED.search(message):
            yield ForkDenied(found[1])


class KernelLog:
    """The kernel's log from when this was made.

    Attributes:
        readable: whether this process may read it (root, or `kernel.dmesg_restrict = 0`).
    """

    def __init__(self, path: Path = KMSG) -> None:
        self._descriptor = -1
        with suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._descriptor, 0, os.SEEK_END)
        self.readable = self._descriptor >= 0

    def read(self) -> list[Logged]:
        """What was logged since this was last asked; nothing where it cannot be read."""
        return list(parse_kernel_log(self._messages())) if self.readable else []

    def _messages(self) -> Iterator[str]:
        while True:
            try:
                record = os.read(self._descriptor, _RECORD_BYTES)
            except BrokenPipeError:
                continue  # the kernel overwrote some before they were read: go on with the oldest that is left
            except OSError:
                return
            if not record:
                return
            yield record.partition(b";")[2].partition(b"\n")[0].decode(errors="replace")

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
