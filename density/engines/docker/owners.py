"""Whose a listening socket is: of the processes of one container, or of somebody else in the same network."""

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"
_LOOPBACK = frozenset({"0100007F", "0000000000000000FFFF00000100007F"})
"""127.0.0.1 as the kernel writes it, also as an IPv4 address within IPv6."""
_ANY = frozenset({"0" * 8, "0" * 32})


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens for TCP connections.

    Attributes:
        address: in the kernel's hexadecimal digits.
        inode: which socket it is.
    """

    address: str
    port: int
    inode: int


def parse_listeners(text: str) -> Iterator[Listener]:
    """The listening sockets in the text of /proc/PID/net/tcp or tcp6."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, _, port = fields[1].rpartition(":")
            yield Listener(address, int(port, 16), int(fields[9]))


def read_listeners(pid: int, proc: Path = Path("/proc")) -> list[Listener]:
    """The sockets that listen for TCP in this process's network, whoever holds them; none once the process is gone."""
    found: list[Listener] = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            found += parse_listeners((proc / str(pid) / "net" / name).read_text())
    return found


def answering(listeners: Iterable[Listener], port: int) -> list[Listener]:
    """Those that may get a connection to 127.0.0.1 at this port: the exact address goes before any address."""
    at_port = [each for each in listeners if each.port == port]
    exact = [each for each in at_port if each.address in _LOOPBACK]
    return exact or [each for each in at_port if each.address in _ANY]


def sockets_of(pids: Iterable[int], proc: Path = Path("/proc")) -> frozenset[int]:
    """Inodes of the sockets that these processes hold.

    Raises:
        PermissionError: this process may not look.
    """
    inodes = set()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for name in os.listdir(proc / str(pid) / "fd"):  # noqa: PTH208 — no Path for each of thousands
                with suppress(FileNotFoundError, ProcessLookupError):
                    link = os.readlink(proc / str(pid) / "fd" / name)  # noqa: PTH115 — as above
                    if link.startswith("socket:["):
                        inodes.add(int(link[8:-1]))
    return frozenset(inodes)


def family(pid: int, proc: Path = Path("/proc")) -> frozenset[int]:
    """A container's processes: the first one and all below it, for what loses its parent there becomes its child.

    Where the kernel keeps no lists of children, all processes of its process namespace.
    """
    if not (proc / f"{pid}/task/{pid}/children").exists():
        return _same_namespace(pid, proc)
    found, waiting = set(), [pid]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += _children(each, proc)
    return frozenset(found)


def is_held_by(containers: Collection[str], port: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process of one of these containers listens at this port of the host.

    Args:
        containers: their ids, which are in the names of their cgroups.
        port: 0: not known which, so that any port that one of them listens at is meant.
        proc: where the kernel says so.
    """
    inodes = {each.inode for each in read_listeners(1, proc) if port in {0, each.port}}
    with suppress(OSError):
        for entry in os.listdir(proc) if inodes else ():  # noqa: PTH208 — as in `sockets_of`
            with suppress(OSError):
                if entry.isdigit() and _is_in(containers, proc / entry) and sockets_of([int(entry)], proc) & inodes:
                    return True
    return False


def _is_in(containers: Collection[str], process: Path) -> bool:
    cgroups = (process / "cgroup").read_text()
    return any(container in cgroups for container in containers)


def may_look() -> bool:
    """Whether this process may see what other users' processes hold."""
    return os.access("/proc/1/fd", os.R_OK)


def _children(pid: int, proc: Path) -> list[int]:
    children: list[int] = []
    for path in (proc / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            children += map(int, path.read_text().split())
    return children


def _same_namespace(pid: int, proc: Path) -> frozenset[int]:
    found = set()
    with suppress(OSError):
        namespace = os.readlink(proc / f"{pid}/ns/pid")  # noqa: PTH115 — a namespace is no path
        for entry in os.listdir(proc):  # noqa: PTH208 — as in `sockets_of`
            with suppress(OSError):
                if entry.isdigit() and os.readlink(proc / entry / "ns/pid") == namespace:  # noqa: PTH115 — as above
                    found.add(int(entry))
    return frozenset(found)
