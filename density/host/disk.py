"""Space and inodes of the file systems that a run fills."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import psutil

from density.host.reading import Unavailable


class DiskSensor:
    """One file system, by a path on it: `disk.LABEL.{total_bytes,available_bytes,inodes,inodes_free}`.

    Available is what an ordinary user may still take. File systems without a fixed number of inodes give no inodes.

    Attributes:
        device: of the file system.

    Raises:
        Unavailable: the path does not exist (yet).
    """

    def __init__(self, label: str, path: Path) -> None:
        self._prefix = f"disk.{label}"
        self._path = path
        try:
            self.device = path.stat().st_dev
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror}") from error

    def read(self) -> Mapping[str, float]:
        """The values now.

        Raises:
            Unavailable: the path is gone.
        """
        try:
            space, found = psutil.disk_usage(str(self._path)), os.statvfs(self._path)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        values = {
            f"{self._prefix}.total_bytes": float(space.total),
            f"{self._prefix}.available_bytes": float(space.free),
        }
        if found.f_files:
            values[f"{self._prefix}.inodes"] = float(found.f_files)
            values[f"{self._prefix}.inodes_free"] = float(found.f_favail)
        return values


_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def kept_in_memory(path: Path) -> str:
    """The type of the file system that a path is on, where that keeps its files in memory; else empty.

    Of an overlay, such as a live system's, the one that takes what is written.
    """
    partitions = [each for each in psutil.disk_partitions(all=True) if path.is_relative_to(each.mountpoint)]
    # Of mounts at one place, the last one is seen.
    nearest = max(reversed(partitions), key=lambda each: len(each.mountpoint), default=None)
    if nearest is None:
        return ""
    if nearest.fstype == "overlay":
        written = re.search(r"\bupperdir=([^,]+)", nearest.opts)
        return kept_in_memory(Path(written[1])) if written and Path(written[1]) != path else ""
    return nearest.fstype if nearest.fstype in _IN_MEMORY else ""
