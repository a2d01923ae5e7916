"""Mounts of a mount namespace, and memory maps of a process: both are counted by reading them line by line."""

from collections.abc import Mapping
from pathlib import Path

from density.host.reading import HotFile, Unavailable


class MountsSensor:
    """`mounts.NAME.count` of the mount namespace that a process is in.

    The kernel tells whether anything was mounted since the last reading, so that at rest nothing is read.

    Raises:
        Unavailable: no such process, or not allowed to look.
    """

    def __init__(self, name: str, pid: int | str, root: Path) -> None:
        self._name = f"mounts.{name}.count"
        self._file = HotFile(root / "proc" / str(pid) / "mountinfo")
        self._count = float(self._file.count_lines())

    def read(self) -> Mapping[str, float]:
        """The count now.

        Raises:
            Unavailable: the namespace is gone.
        """
        if self._file.changed():
            self._count = float(self._file.count_lines())
        return {self._name: self._count}


class MapsSensor:
    """`PREFIX.maps_count` of one process.

    Raises:
        Unavailable: no such process, or not allowed to look.
    """

    def __init__(self, prefix: str, pid: int, root: Path) -> None:
        self._name = f"{prefix}.maps_count"
        self._file = HotFile(root / "proc" / str(pid) / "maps")

    def read(self) -> Mapping[str, float]:
        """The count now.

        Raises:
            Unavailable: the process ended.
        """
        count = self._file.count_lines()
        if not count:
            raise Unavailable(f"{self._name}: the process ended")
        return {self._name: float(count)}


def mount_namespace(pid: int | str, root: Path) -> str:
    """Which mount namespace a process is in; empty where that cannot be seen."""
    try:
        return str((root / "proc" / str(pid) / "ns/mnt").readlink())
    except OSError:
        return ""
