"""Sockets that listen, asked of the kernel directly (sock_diag): reading /proc/net costs 3 ms and more."""

import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from density.host.reading import HotFile, Unavailable

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST, _DUMP = 0x1, 0x300
_DONE, _ERROR = 3, 2
_TCP_LISTEN = 1 << 10
_SHOW_QUEUE = 0x10
_QUEUE = 4
_ANY = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REPLY_BYTES = 1 << 16
_TIMEOUT_SECONDS = 0.5
"""Less than a sensor may take: an answer that does not come is a failure of this sensor, and no hanging one."""


class SockDiag:
    """A netlink socket for questions about sockets of our own network namespace.

    Raises:
        Unavailable: the kernel has no sock_diag, or does not let us ask.
    """

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise Unavailable(f"sock_diag: {error.strerror}") from error
        self._socket.settimeout(_TIMEOUT_SECONDS)
        self._sequence = 0

    def ask(self, question: bytes, *, flags: int = 0) -> list[bytes]:
        """The payloads of all answers to this question; those to an earlier one, which came too late, are dropped.

        Raises:
            Unavailable: the kernel refuses, or does not answer in time.
        """
        self._sequence = self._sequence % _ANY + 1
        head = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST | flags, self._sequence, 0)
        until = time.monotonic() + _TIMEOUT_SECONDS
        try:
            self._socket.send(head + question)
            return self._answers(until, several=bool(flags & _DUMP))
        except OSError as error:
            raise Unavailable(f"sock_diag: {error.strerror or error}") from error

    def _answers(self, until: float, *, several: bool) -> list[bytes]:
        found: list[bytes] = []
        while time.monotonic() < until:
            for kind, sequence, payload in messages(self._socket.recv(_REPLY_BYTES)):
                if sequence != self._sequence:
                    continue
                if kind == _DONE:
                    return found
                if kind == _ERROR:
                    raise Unavailable(f"sock_diag: {os.strerror(-struct.unpack_from('=i', payload)[0])}")
                found.append(payload)
            if found and not several:
                return found
        raise Unavailable(f"sock_diag: no answer within {_TIMEOUT_SECONDS:g} s")

    def __del__(self) -> None:
        with suppress(AttributeError):
            self._socket.close()


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and payload of each netlink message."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        yield kind, sequence, data[offset + _HEADER.size : offset + length]
        offset += max(_HEADER.size, (length + 3) & ~3)


def parse_port_range(text: str) -> range:
    """The ports that are given out, from /proc/sys/net/ipv4/ip_local_port_range (both ends included)."""
    low, high = map(int, text.split())
    return range(low, high + 1)


class PortsSensor:
    """`network.ports.{used_count,limit}`: TCP ports that listen, of those that are given out without being asked for.

    Raises:
        Unavailable: see `SockDiag`; and for recorded hosts, which have no kernel to ask.
    """

    def __init__(self, root: Path) -> None:
        need_this_host(root)
        self._range = HotFile(root / "proc/sys/net/ipv4/ip_local_port_range")
        self._diag = SockDiag()

    def read(self) -> Mapping[str, float]:
        """The values now."""
        given = parse_port_range(self._range.read())
        ports: set[int] = set()
        for family in (socket.AF_INET, socket.AF_INET6):
            question = struct.pack("=BBxxI48x", family, socket.IPPROTO_TCP, _TCP_LISTEN)
            ports.update(struct.unpack_from(">H", answer, 4)[0] for answer in self._diag.ask(question, flags=_DUMP))
        return {"network.ports.used_count": float(sum(port in given for port in ports)),
                "network.ports.limit": float(len(given))}  # fmt: skip


class AcceptSensor:
    """`PREFIX.{waiting_count,waiting_limit}`: connections that a daemon has not accepted yet, and how many may wait.

    Of the unix sockets that it listens on, the one nearest to its limit. A daemon that takes no more clients (libvirtd
    at `max_clients`) shows here before connections are refused with EAGAIN.

    Raises:
        Unavailable: it listens on none that can be seen, or see `SockDiag`.
    """

    def __init__(self, prefix: str, pid: int, root: Path) -> None:
        need_this_host(root)
        self._prefix = prefix
        self._inodes = listening(pid, root)
        if not self._inodes:
            raise Unavailable(f"/proc/{pid}/fd: no unix socket that listens")
        self._diag = SockDiag()

    def read(self) -> Mapping[str, float]:
        """The values now.

        Raises:
            Unavailable: it listens no more.
        """
        found = [queue for inode in self._inodes for queue in self._queues(inode)]
        waiting, limit = max(found, key=lambda queue: (queue[0] / max(1, queue[1]), queue[1]))
        return {f"{self._prefix}.waiting_count": float(waiting), f"{self._prefix}.waiting_limit": float(limit)}

    def _queues(self, inode: int) -> Iterator[tuple[int, int]]:
        question = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, _ANY, inode, _SHOW_QUEUE, _ANY, _ANY)
        for answer in self._diag.ask(question):
            yield parse_queue(answer)


def parse_queue(answer: bytes) -> tuple[int, int]:
    """Length and limit of a listening socket's queue, from the attributes behind the 16 bytes of a unix_diag_msg.

    Raises:
        ValueError: no queue in it.
    """
    offset = 16
    while offset + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, offset)
        if kind == _QUEUE:
            waiting, limit = struct.unpack_from("=II", answer, offset + 4)
            return waiting, limit
        offset += max(4, (length + 3) & ~3)
    raise ValueError("unix_diag: an answer without a queue")


def parse_unix(text: str) -> set[int]:
    """Inodes of the sockets that listen, from /proc/net/unix."""
    fields = (line.split() for line in text.splitlines()[1:])
    return {int(words[6]) for words in fields if int(words[3], 16) & 0x10000}


def listening(pid: int, root: Path) -> list[int]:
    """Inodes of the unix sockets that a process listens on.

    Raises:
        Unavailable: not allowed to look.
    """
    try:
        inodes = parse_unix((root / "proc/net/unix").read_text())
        directory = root / "proc" / str(pid) / "fd"
        links = {_link(directory, name) for name in os.listdir(directory)}  # noqa: PTH208 — a daemon holds thousands
    except OSError as error:
        raise Unavailable(f"/proc/{pid}/fd: {error.strerror}") from error
    return sorted(inode for inode in inodes if f"socket:[{inode}]" in links)


def _link(directory: Path, name: str) -> str:
    try:
        return os.readlink(f"{directory}/{name}")  # noqa: PTH115 — see `listening`
    except OSError:
        return ""


def need_this_host(root: Path) -> None:
    """Refuse a recorded host.

    Raises:
        Unavailable: it is one.
    """
    if root != Path("/"):
        raise Unavailable("a recorded host has no kernel that could be asked about sockets")
