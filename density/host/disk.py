"""Space and inodes of the file systems that a run fills."""

import os
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
