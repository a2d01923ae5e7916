"""Listening unix sockets that only those may connect to whom they are for."""

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from density.errors import DensityError

PATH_LIMIT = 107
"""Bytes of a unix socket's path (unix(7): sun_path has 108 with its end)."""

Owner = tuple[int, int]
"""A user and a group, by their numbers."""

_CREDENTIALS = struct.Struct("3i")
"""`struct ucred`: pid, uid, gid."""
_ACCESS_LIST, _VERSION = "system.posix_acl_access", struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
"""Of an access list: tag, permissions, id."""
_OWNER, _USER, _GROUP, _MASK, _OTHERS, _NO_ID = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF
_READ_WRITE = 6


def listen(path: Path, backlog: int, *, owner: Owner | None = None) -> socket.socket:
    """A non-blocking socket at this path; only our own user may connect, and the owner given.

    Raises:
        DensityError: the path is too long for a socket.
        OSError: it cannot be made.
    """
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise DensityError(f"the path of a socket may have {PATH_LIMIT} bytes at most: {path}")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.settimeout(0)
        listener.bind(os.fspath(path))
        # Nobody can connect before `listen`, so there is no moment in which others can.
        path.chmod(0o600)
        try:
            admit(path, owner)
        except OSError:
            # No access lists in this file system: whoever connects is asked by the kernel who it is (`may_speak`).
            path.chmod(0o666)
        listener.listen(backlog)
    except BaseException:
        discard(listener, path)
        raise
    return listener


def discard(listener: socket.socket, path: Path) -> None:
    """Close a listening socket and remove it, where its file system lets it."""
    listener.close()
    with suppress(OSError):
        path.unlink(missing_ok=True)


class Peer(NamedTuple):
    """Who connected, as the kernel noted it then.

    Attributes:
        pid: 0 where the process is outside of what this one can see, as from within a container.
        user: its number; -1 where the kernel does not say.
    """

    pid: int
    user: int


def peer(stream: socket.socket) -> Peer:
    """Who connected."""
    try:
        said = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return Peer(0, -1)
    return Peer(*_CREDENTIALS.unpack(said)[:2])


def is_in_slice(pid: int, name: str, proc: Path = Path("/proc")) -> bool:
    """Whether a process is in a cgroup of this name (whatever its ending, such as .slice), or below one."""
    try:
        cgroups = (proc / str(pid) / "cgroup").read_text()
    except OSError:
        return False
    parts = (part for line in cgroups.splitlines() for part in line.split(":", 2)[-1].split("/"))
    return any(part.partition(".")[0] == name for part in parts)


def may_speak(user: int, owner: Owner | None) -> bool:
    """Whether a peer is one whom a socket with this owner is for: ourselves, root, or the owner."""
    return user in {0, os.geteuid()} or (owner is not None and user == owner[0])


def admit(path: Path, owner: Owner | None) -> None:
    """Let QEMU's user read and write what is open to us alone, and nobody else; None: it runs as we do.

    Raises:
        OSError: we are not root, and this file system has no access lists.
    """
    # QEMU run by root is no exception: libvirt takes its capabilities away, so that it may open what root owns alone.
    if owner is None or owner[0] == os.geteuid():
        return
    if os.geteuid() == 0:
        os.chown(path, *owner)
        return
    entries = (_OWNER, _READ_WRITE, _NO_ID), (_USER, _READ_WRITE, owner[0]), (_GROUP, 0, _NO_ID)
    rest = (_MASK, _READ_WRITE, _NO_ID), (_OTHERS, 0, _NO_ID)
    os.setxattr(path, _ACCESS_LIST, _VERSION + b"".join(_ENTRY.pack(*each) for each in (*entries, *rest)))
