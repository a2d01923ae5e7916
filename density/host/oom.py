"""How often a cgroup's own memory limit led to an out-of-memory kill, on cgroup v1."""

import os
from contextlib import suppress
from pathlib import Path

from density.host.reading import Unavailable


class OomCounter:
    """Counts kills from now on, through an eventfd that the kernel raises at the cgroup whose limit was hit.

    Kills in any cgroup below it are counted if this limit caused them; those by a limit further down are not.

    Raises:
        Unavailable: not on this kernel, or not allowed.
    """

    def __init__(self, directory: Path) -> None:
        self._count = 0
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            with (directory / "memory.oom_control").open("rb", buffering=0) as control:
                _register(directory / "cgroup.event_control", f"{self._event} {control.fileno()}")
        except OSError as error:
            raise Unavailable(f"{directory}: no out-of-memory events: {error.strerror}") from error

    def read(self) -> int:
        """Kills since this counter was made."""
        with suppress(BlockingIOError):
            self._count += os.eventfd_read(self._event)
        return self._count

    def __del__(self) -> None:
        os.close(self._event)


def _register(file: Path, words: str) -> None:
    """This file can only be written: what Python's modes for writing do besides, the kernel refuses."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, words.encode())
    finally:
        os.close(descriptor)
