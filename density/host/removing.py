"""Removing a directory with all that is in it, but never what lies behind a mount: that is detached first."""

import ctypes
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def remove_all(paths: Iterable[Path]) -> list[Path]:
    """Remove these files and directories; those that are left. A link is removed, and what it leads to is not. Blocks.

    Mounts at and below them are detached first; where one stays, its directory stays whole.
    """
    left = []
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            if not detach(mounts_at(_mounts(), path)):
                shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        if os.path.lexists(path):
            left.append(path)
    return left


def mounts_at(mountinfo: str, directory: Path) -> list[Path]:
    """Where something is mounted at or below a directory, the deepest first, from `/proc/PID/mountinfo`."""
    points = (_OCTAL.sub(_character, line.split()[4]) for line in mountinfo.splitlines())
    return sorted((each for each in map(Path, points) if each.is_relative_to(directory)), reverse=True)


def detach(points: Iterable[Path]) -> list[Path]:
    """Unmount these, in order, also where they are in use; those that stay mounted. Blocks; needs no fork."""
    libc = ctypes.CDLL(None, use_errno=True)
    return [point for point in points if libc.umount2(os.fsencode(point), _MNT_DETACH | _UMOUNT_NOFOLLOW)]


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))


def _mounts() -> str:
    try:
        return _MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return ""
