"""Asking inside a container's network without going over one: by a socket on its own loopback."""

import ctypes
import os
import socket
import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_BAD_REQUEST = 400
PROBE_SECONDS = 5.0
"""A container that takes longer than this to answer on its own loopback is asked again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back when an instance was asked whether it is ready, in words."""

    is_ready: bool
    words: str


def ask_http(pid: int, port: int, path: str) -> Answer:
    """What 127.0.0.1:PORT inside this process's network answers to a GET; below 400 it is ready. Blocks up to 5 s.

    Raises:
        PermissionError: this process may not enter another network namespace.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=PROBE_SECONDS)
    try:
        connection.sock = socket_in(Path(f"/proc/{pid}/ns/net"))
        connection.sock.settimeout(PROBE_SECONDS)
        connection.sock.connect(("127.0.0.1", port))
        connection.request("GET", f"/{path.lstrip('/')}")
        response = connection.getresponse()
        return Answer(response.status < _BAD_REQUEST, f"{response.status} {response.reason}".strip())
    except PermissionError:
        raise
    except TimeoutError:
        return Answer(is_ready=False, words=f"none within {PROBE_SECONDS:.0f} s")
    except OSError as error:
        return Answer(is_ready=False, words=(error.strerror or str(error)).lower())
    except HTTPException as error:
        return Answer(is_ready=False, words=f"not HTTP ({type(error).__name__})")
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
