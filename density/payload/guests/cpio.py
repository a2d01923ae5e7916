"""The archive that Linux unpacks as its first root file system: cpio in the "newc" form."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = "070701"
_TRAILER = "TRAILER!!!"
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One member: `mode` holds the file type too, as in `stat`; `device` is the major and minor of a device node."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> Entry:
    """A directory that everybody may enter."""
    return Entry(name, stat.S_IFDIR | 0o755)


def program(name: str, data: bytes) -> Entry:
    """An executable file."""
    return Entry(name, stat.S_IFREG | 0o755, data)


def character_device(name: str, major: int, minor: int) -> Entry:
    """A character device node."""
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive's bytes; the same entries give the same bytes (no times, owner root)."""
    parts = [_member(entry, number) for number, entry in enumerate(entries, 1)]
    parts.append(_member(Entry(_TRAILER, 0), 0))
    return _pad(b"".join(parts), _BLOCK)


def _member(entry: Entry, inode: int) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = _MAGIC + "".join(f"{value:08X}" for value in fields)
    return _pad(header.encode() + name, 4) + _pad(entry.data, 4)


def _pad(data: bytes, size: int) -> bytes:
    return data + bytes(-len(data) % size)
