"""Files that QEMU's user can read, who is another than ours."""

import os
import pwd
import shlex
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Literal

from density.errors import CannotRun, UsageError
from density.payload.guests import Guest

DIRECTORY = "guests"


def staged(guest: Guest, data_dir: Path, owner: tuple[int, int] | None) -> Guest:
    """The guest with files that QEMU's user can read; others are copied to where the run keeps what grows. Blocks.

    Raises:
        UsageError: it is a disk image, which is too large to copy, or an image below one.
        CannotRun: QEMU's user cannot reach the copies.
    """
    if guest.overlay:
        check_readable(guest, owner)
    if all(can_read(path, owner) for path in guest.files):
        return guest
    check_entrance(data_dir, owner, "the key data of [engines] names another directory for what it has to read")
    return replace(
        guest,
        kernel=_copied(guest.kernel, data_dir, owner),
        initramfs=_copied(guest.initramfs, data_dir, owner),
        disk=_copied(guest.disk, data_dir, owner),
    )


def check_readable(guest: Guest, owner: tuple[int, int] | None) -> None:
    """Make sure that QEMU's user can read every file that the guest is made of. Blocks.

    Raises:
        UsageError: it cannot; the message names the file or the directory that is closed to it.
    """
    for path in guest.files:
        if can_read(path, owner):
            continue
        above = "" if path == guest.disk else f", an image below {guest.disk}"
        closed = next((each for each in reversed(path.parents) if not can_enter(each, owner)), None)
        command = shlex.join(("chmod", "o+x" if closed else "o+r", str(closed or path)))
        remedy = f"{command}, or move it" if closed else command
        raise UsageError(f"QEMU's user{_who(owner)} cannot read {path}{above}: {remedy}")


def check_entrance(directory: Path, owner: tuple[int, int] | None, remedy: str) -> None:
    """Make sure that QEMU's user can reach what will be in this directory. Blocks.

    Raises:
        CannotRun: it cannot.
    """
    if not can_enter(directory, owner):
        raise CannotRun(f"QEMU's user{_who(owner)} cannot enter {directory}: {remedy}")


def _who(owner: tuple[int, int] | None) -> str:
    try:
        return f" ({pwd.getpwuid(owner[0]).pw_name})" if owner else ""
    except KeyError:
        return f" (uid {owner[0]})" if owner else ""


def unstage(data_dir: Path) -> None:
    """Remove the copies; what runs has read them, or holds them open."""
    shutil.rmtree(data_dir / DIRECTORY, ignore_errors=True)


def can_read(path: Path, owner: tuple[int, int] | None) -> bool:
    """Whether QEMU's user can read this file; None: it runs as we do."""
    return _may(path, owner, "r")


def can_enter(directory: Path, owner: tuple[int, int] | None) -> bool:
    """Whether QEMU's user can reach what is in this directory, or in the nearest one above it that exists."""
    return _may(next(each for each in (directory, *directory.parents) if each.exists()), owner, "x")


def _may(path: Path, owner: tuple[int, int] | None, what: Literal["r", "x"]) -> bool:
    """Asked of the kernel, as that user where we may become it: access lists and further groups count."""
    if owner is None or owner[0] in {0, os.geteuid()}:
        return os.access(path, {"r": os.R_OK, "x": os.X_OK}[what])
    if os.geteuid() == 0:
        groups = _groups(owner)
        asked = subprocess.run(
            ["test", f"-{what}", path], check=False, user=owner[0], group=owner[1], extra_groups=groups
        )
        return asked.returncode == 0
    return _allows(path, owner, what) and all(_allows(each, owner, "x") for each in path.parents)


def _groups(owner: tuple[int, int]) -> list[int]:
    """The groups that libvirt starts QEMU with: those of its user in the host's tables."""
    try:
        return os.getgrouplist(pwd.getpwuid(owner[0]).pw_name, owner[1])
    except KeyError:
        return [owner[1]]


_BITS = {"r": (stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH), "x": (stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)}


def _allows(path: Path, owner: tuple[int, int], what: str) -> bool:
    """By the mode alone, which is all that can be seen without being that user or root."""
    status = path.stat()
    user, group, others = _BITS[what]
    if status.st_uid == owner[0]:
        return bool(status.st_mode & user)
    if status.st_gid == owner[1]:
        return bool(status.st_mode & group)
    return bool(status.st_mode & others)


def _copied(path: Path | None, data_dir: Path, owner: tuple[int, int] | None) -> Path | None:
    if path is None or can_read(path, owner):
        return path
    directory = data_dir / DIRECTORY
    # QEMU's user has to read them; they are what density makes for everybody, with nothing of anyone's in them.
    directory.mkdir(mode=0o711, exist_ok=True)
    directory.chmod(0o711)
    copy = directory / path.name
    if not copy.exists():
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
    return copy
