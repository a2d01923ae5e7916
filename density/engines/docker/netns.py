"""Looking into a container's network without going over one: who listens, and a socket on its loopback."""

import ctypes
import os
import socket
import threading
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_LISTEN = "0A"
PROBE_SECONDS = 5.0
"""A container that takes longer than this to answer on its own loopback is asked again."""


def parse_listening(text: str) -> frozenset[int]:
    """The ports that something listens on, from the text of /proc/PID/net/tcp or tcp6."""
    ports = set()
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTEN:
            ports.add(int(fields[1].rpartition(":")[2], 16))
    return frozenset(ports)


def read_listening(pid: int, proc: Path = Path("/proc")) -> frozenset[int]:
    """The TCP ports that something listens on in this process's network; empty once the process is gone."""
    return frozenset().union(*map(parse_listening, _texts(proc / str(pid) / "net" / name for name in ("tcp", "tcp6"))))


def answers_http(pid: int, port: int, path: str) -> bool:
    """Whether 127.0.0.1:PORT inside this process's network answers a GET with a status below 400. Blocks up to 5 s.

    Raises:
        PermissionError: this process may not enter another network namespace.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=PROBE_SECONDS)
    try:
        connection.sock = socket_in(Path(f"/proc/{pid}/ns/net"))
        connection.sock.settimeout(PROBE_SECONDS)
        connection.sock.connect(("127.0.0.1", port))
        connection.request("GET", f"/{path.lstrip('/')}")
        return connection.getresponse().status < 400
    except PermissionError:
        raise
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def socket_in(namespace: Path) -> socket.socket:
    """A TCP socket that belongs to another network namespace; it may be used from any thread.

    Made in a thread of its own that ends at once, so that no thread of ours stays in there.

    Raises:
        OSError: no such namespace; `PermissionError` where this process may not enter it.
    """
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            _enter(namespace)
            made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make, name="density-netns")
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def may_enter() -> bool:
    """Whether this process may enter network namespaces at all; tried with its own."""
    try:
        socket_in(Path("/proc/self/ns/net")).close()
    except OSError:
        return False
    return True


def _enter(namespace: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)


def _texts(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        try:
            yield path.read_text()
        except OSError:
            continue
