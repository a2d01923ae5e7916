"""What single processes use: the engines' daemons, and the tester itself."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from density.host.reading import HotFile, Unavailable

_RECOUNT_READS = 10


def parse_stat(text: str, *, ticks: float, page_bytes: int) -> dict[str, float]:
    """`cpu_seconds`, `threads` and `rss_bytes` from /proc/PID/stat; the name in it may hold spaces and brackets.

    Args:
        text: the file.
        ticks: clock ticks a second.
        page_bytes: size of a page.
    """
    fields = text.rpartition(")")[2].split()
    return {
        "cpu_seconds": (int(fields[11]) + int(fields[12])) / ticks,
        "threads": float(fields[17]),
        "rss_bytes": float(int(fields[21]) * page_bytes),
    }


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
    """`PREFIX.{cpu_seconds,busy_cpus,rss_bytes,threads,fds,fds_limit}` of one process; it never comes to mean another.

    `busy_cpus` is CPU time a second since the last reading, 2.0 for two CPUs; the first reading has none.

    Raises:
        Unavailable: no such process, or not allowed to look.
    """

    def __init__(self, prefix: str, pid: int | str, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        directory = root / "proc" / str(pid)
        self._prefix = prefix
        self._stat = HotFile(directory / "stat")
        self._limits = HotFile(directory / "limits")
        self._descriptors = DescriptorCounter(directory / "fd")
        self._ticks = float(os.sysconf("SC_CLK_TCK"))
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._clock = clock
        self._before = (float("inf"), 0.0)

    def read(self) -> Mapping[str, float]:
        """The values now.

        Raises:
            Unavailable: the process ended.
        """
        values = parse_stat(self._stat.read(), ticks=self._ticks, page_bytes=self._page_bytes)
        now, (before, cpu_seconds) = self._clock(), self._before
        if now > before:
            values["busy_cpus"] = (values["cpu_seconds"] - cpu_seconds) / (now - before)
        self._before = (now, values["cpu_seconds"])
        values["fds"] = float(self._descriptors.read())
        limit = parse_soft_limit(self._limits.read(), "Max open files")
        if limit is not None:
            values["fds_limit"] = limit
        return {f"{self._prefix}.{name}": value for name, value in values.items()}
