"""Files that QEMU's user can read, who is another than ours."""

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

from density.errors import UsageError
from density.payload.guests import Guest

DIRECTORY = "guests"


def staged(guest: Guest, runtime_dir: Path, owner: tuple[int, int] | None) -> Guest:
    """The guest with files that QEMU's user can read; others are copied into the runtime directory. Blocks.

    Raises:
        UsageError: it is a disk image, which is too large to copy.
    """
    if all(can_read(path, owner) for path in guest.files):
        return guest
    if guest.overlay:
        raise UsageError(
            f"QEMU's user cannot read {guest.disk}: give others leave to read it and to enter its directories"
        )
    return replace(
        guest,
        kernel=_copied(guest.kernel, runtime_dir, owner),
        initramfs=_copied(guest.initramfs, runtime_dir, owner),
        disk=_copied(guest.disk, runtime_dir, owner),
    )


def unstage(runtime_dir: Path) -> None:
    """Remove the copies; what runs has read them, or holds them open."""
    shutil.rmtree(runtime_dir / DIRECTORY, ignore_errors=True)


def can_read(path: Path, owner: tuple[int, int] | None) -> bool:
    """Whether QEMU's user can read this file; None: it runs as we do."""
    if owner is None or owner[0] in {0, os.geteuid()}:
        return os.access(path, os.R_OK)
    return _allows(path, owner, "r") and can_enter(path.parent, owner)


def can_enter(directory: Path, owner: tuple[int, int] | None) -> bool:
    """Whether QEMU's user can reach what is in this directory."""
    if owner is None or owner[0] in {0, os.geteuid()}:
        return True
    return all(_allows(each, owner, "x") for each in (directory, *directory.parents) if each.exists())


_BITS = {"r": (stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH), "x": (stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)}


def _allows(path: Path, owner: tuple[int, int], what: str) -> bool:
    status = path.stat()
    user, group, others = _BITS[what]
    if status.st_uid == owner[0]:
        return bool(status.st_mode & user)
    if status.st_gid == owner[1]:
        return bool(status.st_mode & group)
    return bool(status.st_mode & others)


def _copied(path: Path | None, runtime_dir: Path, owner: tuple[int, int] | None) -> Path | None:
    if path is None or can_read(path, owner):
        return path
    directory = runtime_dir / DIRECTORY
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    copy = directory / path.name
    if not copy.exists():
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
    return copy
