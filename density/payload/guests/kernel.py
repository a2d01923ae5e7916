"""A Linux kernel for the payload guest: given, cached, the host's own, or out of the distribution's package."""

import os
import re
from pathlib import Path

from density.errors import CannotRun, UsageError
from density.payload.guests.files import keep_copy
from density.payload.guests.packages import fetch_kernel
from density.threads import in_thread

VARIABLE = "DENSITY_GUEST_KERNEL"
"""Environment variable with the path of a kernel image; serial port and initramfs must be built into it."""

_NAME = "vmlinuz-"
_MAGIC_OFFSET, _MAGIC = 0x202, b"HdrS"


async def guest_kernel(cache_dir: Path, *, explicit: Path | None = None, root: Path = Path("/")) -> Path:
    """A kernel to boot.

    Args:
        cache_dir: where one from earlier is, and where a fetched one is kept.
        explicit: this one and no other.
        root: the host's root directory, for its /boot.

    Raises:
        UsageError: there is none and none can be had; the message says how to get one.
    """
    if explicit is not None:
        return await in_thread(_checked, explicit)
    found = await in_thread(find_kernel, cache_dir, root)
    return found or await _fetched(cache_dir)


def newest(names: list[str]) -> list[str]:
    """Kernel file names, the highest version first."""
    return sorted(names, key=_version, reverse=True)


def _version(name: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(number) for number in re.findall(r"\d+", name)), name


def is_kernel(path: Path) -> bool:
    """Whether this is a readable x86 Linux kernel image, by the mark of its boot protocol."""
    try:
        with path.open("rb") as file:
            file.seek(_MAGIC_OFFSET)
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _checked(path: Path) -> Path:
    if not os.access(path, os.R_OK):
        raise UsageError(f"the guest kernel {path} cannot be read; {VARIABLE} has to name a file that can")
    if not is_kernel(path):
        raise UsageError(f"the guest kernel {path} is no x86 Linux kernel image (bzImage)")
    return path.absolute()


def find_kernel(cache_dir: Path, root: Path) -> Path | None:
    """The newest kernel in the cache, else in the host's /boot; None where there is none."""
    for directory in (cache_dir, root / "boot"):
        names = [path.name for path in directory.glob(f"{_NAME}*")] if directory.is_dir() else []
        for name in newest(names):
            if is_kernel(directory / name):
                return directory / name
    return None


async def _fetched(cache_dir: Path) -> Path:
    try:
        async with fetch_kernel() as found:
            return await in_thread(keep_copy, cache_dir / found.name, found)
    except OSError as error:
        raise CannotRun(
            "the payload guest needs a Linux kernel, and there is none in /boot and none could be fetched"
            f' ({error}): put one somewhere and name it in {VARIABLE}, or use guest = "null"'
        ) from error
