"""Room on the disk of a run that is kept for its end, so that a disk that fills takes neither record nor report."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from density.log import logger

log = logger(__name__)
MOST_BYTES = 16 * 2**20
"""The last seconds of a record, a result and a report of thousands of instances take less."""
SHARE = 4
"""Of a small disk no more is kept than this part of what is free."""


class Ballast:
    """A context manager that holds space in a directory until `release`, or until left.

    It has no name there, so that the kernel gives the space back however the process ends.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = -1

    def __enter__(self) -> Self:
        """Where the disk has no room to keep, nothing is kept."""
        try:
            disk = os.statvfs(self._directory)
            size = min(MOST_BYTES, disk.f_bavail * disk.f_frsize // SHARE)
            path = self._directory / f".{os.getpid()}.room"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            path.unlink()
            os.posix_fallocate(self._file, 0, max(1, size))
        except OSError as error:
            log.warning("no room kept for the end of the run", directory=str(self._directory), error=str(error))
        return self

    def release(self) -> None:
        """Give the space to whoever writes next; may be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
