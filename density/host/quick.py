"""What can be read of critical ceilings at once, without a thread: files of /proc that never block."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from density.host.daemons import parse_soft_limit
from density.host.files import parse_file_nr
from density.host.reading import HotFile, Parser, Unavailable, number_parser, parse_pairs

_MEMINFO = {
    "MemTotal": "memory.total_bytes",
    "MemAvailable": "memory.available_bytes",
    "Committed_AS": "memory.committed_bytes",
    "CommitLimit": "memory.commit_limit_bytes",
}
_COUNTED_WITHIN = 3
"""Other threads open and close files while they are listed."""


def parse_meminfo(text: str) -> dict[str, float]:
    """Total, available and committed memory in bytes, from /proc/meminfo."""
    return parse_pairs(text, _MEMINFO)


def parse_tasks(text: str) -> dict[str, float]:
    """`tasks.count`, every thread of the host, from /proc/loadavg."""
    return {"tasks.count": float(text.split()[3].partition("/")[2])}


class QuickReader:
    """Memory, tasks and open files of the host, and density's own open files, by the names of the sensors.

    About 65 us a reading (`tests/bench/bench_host.py` measures it), so that it can be read before each launch. What
    this kernel does not have is left out.

    Args:
        root: the host's root directory; tests give a recorded one.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        proc = root / "proc"
        self._sources: list[tuple[HotFile, Parser]] = []
        for path, parser in (
            (proc / "meminfo", parse_meminfo),
            (proc / "loadavg", parse_tasks),
            (proc / "sys/fs/file-nr", parse_file_nr),
            (proc / "sys/kernel/pid_max", number_parser("tasks.pid_max")),
            (proc / "sys/kernel/threads-max", number_parser("tasks.threads_max")),
            (proc / "sys/vm/overcommit_memory", number_parser("memory.overcommit_mode")),
        ):
            try:
                self._sources.append((HotFile(path), parser))
            except Unavailable:
                continue
        self._files_limit = _files_limit(proc / "self/limits")
        self._own_files = _own_files(proc / "self/fd") if root == Path("/") else None

    def read(self) -> Mapping[str, float]:
        """The values now; without those that cannot be read."""
        values: dict[str, float] = {}
        for file, parser in self._sources:
            try:
                values.update(parser(file.read()))
            except (Unavailable, ValueError, LookupError):
                continue
        if self._own_files is not None and self._files_limit is not None:
            values |= {"tester.fds": float(self._own_files()), "tester.fds_limit": self._files_limit}
        return values


def _files_limit(file: Path) -> float | None:
    try:
        return parse_soft_limit(file.read_text(), "Max open files")
    except OSError:
        return None


def _own_files(directory: Path) -> Callable[[], int] | None:
    """Counts density's open files, where the kernel gives the count as the directory's size (Linux 6.2 and later)."""
    try:
        status, listed = directory.stat(), len(list(directory.iterdir()))
    except OSError:
        return None
    if abs(status.st_size - listed) > _COUNTED_WITHIN:
        return None
    return lambda: os.stat(directory).st_size  # noqa: PTH116 — 2 us less than by Path
