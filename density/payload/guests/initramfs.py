"""The payload guest's root file system: the payload as /init, and nothing else that is not needed to start it."""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from density.payload.build import payload_binary
from density.payload.guests import cpio
from density.payload.guests.files import keep
from density.threads import in_thread


def build_initramfs(payload: bytes, more: Mapping[str, bytes] | None = None) -> bytes:
    """A compressed archive with this program as /init, and `more` files by their names."""
    members = (
        cpio.directory("dev"),
        # The kernel opens it for PID 1 before PID 1 can mount anything.
        cpio.character_device("dev/console", 5, 1),
        cpio.program("init", payload),
        *(cpio.program(name, data) for name, data in (more or {}).items()),
    )
    return gzip.compress(cpio.archive(members), mtime=0)


async def payload_initramfs(cache_dir: Path) -> Path:
    """The payload guest's initramfs in the cache, made there if it is not yet.

    Raises:
        EngineUnavailable: the payload cannot be compiled.
    """
    binary = await payload_binary(cache_dir)
    return await in_thread(_kept, binary, cache_dir)


def _kept(binary: Path, cache_dir: Path) -> Path:
    data = build_initramfs(binary.read_bytes())
    return keep(cache_dir / f"initramfs-{hashlib.sha256(data).hexdigest()[:16]}", data)
