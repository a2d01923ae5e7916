"""What single processes use: the engines' daemons, and density itself.

Their open files are not counted by psutil, which lists them: a daemon of 500 containers has thousands.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from density.host.cpu import SHORTEST_SECONDS
from density.host.procfs import process_id, procfs
from density.host.reading import HotFile, Unavailable

_RECOUNT_READS = 10


def parse_soft_limit(text: str, name: str) -> float | None:
    """A soft limit such as `Max open files` from /proc/PID/limits; None where it is unlimited."""
    for line in text.splitlines():
        if line.startswith(name):
            word = line[len(name) :].split()[0]
            return None if word == "unlimited" else float(word)
    return None


class DescriptorCounter:
    """Counts a process's open files.

    Linux 6.2 and later give the count as the size of /proc/PID/fd, at 1 us. That is used if it agrees with a count by
    listing (14 us at 24 files, and it grows with them); elsewhere the list is taken at every tenth read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = -1
        self._path = directory
        self._reads = 0
        try:
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._count = self._listed()
        except OSError as error:
            raise Unavailable(f"{directory}: {error.strerror}") from error
        # Busy daemons open and close files between the two.
        self._size_counts = abs(os.fstat(self._directory).st_size - self._count) <= 3

    def read(self) -> int:
        """The number of open files.

        Raises:
            Unavailable: the process ended.
        """
        self._reads += 1
        try:
            if self._size_counts:
                return os.fstat(self._directory).st_size
            if self._reads % _RECOUNT_READS == 0:
                self._count = self._listed()
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        return self._count

    def _listed(self) -> int:
        return len(os.listdir(self._directory))  # noqa: PTH208 — by descriptor; a Path may come to mean another

    def __del__(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)


class ProcessSensor:
    """`PREFIX.{cpu_seconds,busy_cpus,rss_bytes,threads,...}` of one process; it never comes to mean another.

    `fds` are open files, `fds_limit` how many may be; `committed_bytes` is what the kernel promised it, used or not:
    its own writable memory, with the stacks of its threads. `busy_cpus` is CPU time a second over the last interval of
    `SHORTEST_SECONDS` or longer, 2.0 for two CPUs; before the first is over there is none.

    Raises:
        Unavailable: no such process, or not allowed to look.
    """

    def __init__(self, prefix: str, pid: int | str, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        number = process_id(pid, root)
        directory = root / "proc" / str(number)
        self._prefix = prefix
        self._root = root
        # Opened first: once the process has ended it cannot be read, whoever has the number by then.
        self._limits = HotFile(directory / "limits")
        self._descriptors = DescriptorCounter(directory / "fd")
        with procfs(root):
            self._process = psutil.Process(number)
        self._clock = clock
        self._before: tuple[float, float] | None = None
        self._busy: dict[str, float] = {}

    def read(self) -> Mapping[str, float]:
        """The values now.

        Raises:
            Unavailable: the process ended.
        """
        limit = parse_soft_limit(self._limits.read(), "Max open files")
        with procfs(self._root), self._process.oneshot():
            times, memory = self._process.cpu_times(), self._process.memory_info()
            values = {
                "cpu_seconds": times.user + times.system,
                "threads": float(self._process.num_threads()),
                "rss_bytes": float(memory.rss),
                "committed_bytes": float(memory.data),
            }
        values |= self._busy_cpus(values["cpu_seconds"])
        values["fds"] = float(self._descriptors.read())
        if limit is not None:
            values["fds_limit"] = limit
        return {f"{self._prefix}.{name}": value for name, value in values.items()}

    def _busy_cpus(self, cpu_seconds: float) -> Mapping[str, float]:
        now = self._clock()
        if self._before is None:
            self._before = now, cpu_seconds
        at, before = self._before
        if now - at >= SHORTEST_SECONDS:
            self._busy = {"busy_cpus": (cpu_seconds - before) / (now - at)}
            self._before = now, cpu_seconds
        return self._busy
