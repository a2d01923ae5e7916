"""Disk images: what one is made of, layer by layer, and copy-on-write overlays on it."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from density.errors import UsageError
from density.payload.sockets import Owner, admit

FORMATS = ("qcow2", "raw")
SECONDS = 60.0
"""For one call of qemu-img, which reads and writes a few blocks: longer only where a file system hangs."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One image file of a chain; `format` is one of `FORMATS`, `size_bytes` that of the disk it makes (0: not said)."""

    path: Path
    format: str
    size_bytes: int = 0


def image_chain(path: Path) -> tuple[Layer, ...]:
    """The image and every image below it, the topmost first. Blocks.

    Raises:
        UsageError: no such image, or one of them cannot be opened or is nothing that a VM can boot from here.
    """
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UsageError(f"the disk image {path} is not a file that can be read (`density image debian` makes one)")
    try:
        said = _qemu_img("info", "--force-share", "--backing-chain", "--output=json", str(path.absolute()))
    except FileNotFoundError as error:
        raise UsageError(f"the disk image {path} cannot be examined: {error}") from error
    except OSError as error:
        raise UsageError(f"the disk image {path}, or an image below it, cannot be opened: {error}") from error
    return parse_chain(said)


def parse_chain(text: str) -> tuple[Layer, ...]:
    """The layers in what `qemu-img info --backing-chain` says of an image.

    Raises:
        UsageError: one is not in one of `FORMATS`, is no file, is encrypted, or keeps its data elsewhere.
    """
    return tuple(_layer(said) for said in json.loads(text))


def _layer(said: Mapping[str, Any]) -> Layer:
    path, found = Path(str(said.get("filename"))).absolute(), str(said.get("format"))
    if found not in FORMATS:
        raise UsageError(f"the disk image {path} is in the format {found}; allowed is {' or '.join(FORMATS)}")
    if not path.is_file():
        raise UsageError(f"the disk image {said.get('filename')} is no file; allowed are files of this host")
    if said.get("encrypted"):
        raise UsageError(f"the disk image {path} is encrypted; allowed are images that boot without a secret")
    if data := said.get("format-specific", {}).get("data", {}).get("data-file"):
        raise UsageError(f"the disk image {path} keeps its data in {data}; allowed are images of one file each")
    return Layer(path, found, int(said.get("virtual-size") or 0))


def make_overlay(overlay: Path, base: Path, *, base_format: str, owner: Owner | None) -> None:
    """A qcow2 image that reads through to `base` and keeps what is written to itself. Blocks.

    Args:
        owner: user and group of QEMU, who has to write to it beside ourselves; None: it runs as we do.

    Raises:
        OSError: it cannot be made, with qemu-img's own words, or not be opened to QEMU's user.
    """
    # 0711: QEMU's user passes through it to its own.
    overlay.parent.mkdir(mode=0o711, exist_ok=True)
    overlay.parent.chmod(0o711)
    _qemu_img("create", "-q", "-f", "qcow2", "-F", base_format, "-b", str(base), str(overlay))
    overlay.chmod(0o600)
    admit(overlay, owner)


def _qemu_img(*words: str) -> str:
    try:
        done = subprocess.run(
            ["qemu-img", *words],
            check=True, capture_output=True, text=True, errors="surrogateescape", timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise OSError(f"qemu-img {words[0]} has not ended after {SECONDS:g} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"ended with {error.returncode}"]
        # It says "Could not open 'x': " once for each of its own layers.
        parts = [part for part, _ in groupby(lines[0].removeprefix("qemu-img: ").split(": "))]
        raise OSError(f"qemu-img: {': '.join(parts)}") from error
    return done.stdout
