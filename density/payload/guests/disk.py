"""Disk images: what is in one, and copy-on-write overlays on it."""

import json
import os
import subprocess
from pathlib import Path

from density.errors import UsageError

FORMATS = ("qcow2", "raw")


def image_format(path: Path) -> str:
    """`qcow2` or `raw`. Blocks.

    Raises:
        UsageError: no such image, not readable, or in another format.
    """
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UsageError(f"the disk image {path} is not a file that can be read (`density image debian` makes one)")
    try:
        said = _qemu_img("info", "--force-share", "--output=json", str(path))
    except OSError as error:
        raise UsageError(f"the disk image {path} cannot be examined: {error}") from error
    return parse_format(said, path)


def parse_format(text: str, path: Path) -> str:
    """The format in what `qemu-img info` says of an image.

    Raises:
        UsageError: not one of `FORMATS`.
    """
    found = str(json.loads(text).get("format"))
    if found not in FORMATS:
        raise UsageError(f"the disk image {path} is in the format {found}; allowed is {' or '.join(FORMATS)}")
    return found


def make_overlay(overlay: Path, base: Path, *, base_format: str, owner: tuple[int, int] | None) -> None:
    """A qcow2 image that reads through to `base` and keeps what is written to itself. Blocks.

    Args:
        owner: user and group of QEMU, who has to write to it; None where everybody may.

    Raises:
        OSError: it cannot be made, with qemu-img's own words.
    """
    overlay.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    _qemu_img("create", "-q", "-f", "qcow2", "-F", base_format, "-b", str(base), str(overlay))
    if owner and os.geteuid() == 0:
        os.chown(overlay, *owner)
        overlay.chmod(0o600)
    else:
        overlay.chmod(0o666)


def _qemu_img(*words: str) -> str:
    try:
        return subprocess.run(["qemu-img", *words], check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"ended with {error.returncode}"]
        raise OSError(f"qemu-img: {lines[0].removeprefix('qemu-img: ')}") from error
