"""Whether the kernel killed for want of memory."""

from collections.abc import Sequence
from pathlib import Path

_FILES = ("memory.events", "memory.oom_control")
"""cgroup v2 and v1; each has a line `oom_kill COUNT` (v1 since Linux 4.13)."""

_HOST = Path("/proc/vmstat")
"""The same for the whole host, where there is no slice."""


def parse_oom_kills(text: str) -> int:
    """The count of `oom_kill` in `memory.events`, `memory.oom_control` or `/proc/vmstat`; 0 where it is not told."""
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.isdigit():
            return int(count)
    return 0


class OomKills:
    """Kills that no death has been put down to yet.

    Each is spent once, so that an instance killed by a person is not mistaken for one killed by the kernel before it.
    """

    def __init__(self, procs_files: Sequence[str]) -> None:
        """`procs_files` are the slice's, of which the memory controller's counts; without one, the host's."""
        files = [Path(path).with_name(name) for path in procs_files for name in _FILES]
        self._files = [path for path in files if path.exists()] or [_HOST]
        self._spent = self._read()

    def spend(self) -> bool:
        """Whether one more kill is on record than was spent; spends it."""
        if self._read() <= self._spent:
            return False
        self._spent += 1
        return True

    def _read(self) -> int:
        return sum(parse_oom_kills(path.read_text()) for path in self._files if path.exists())
