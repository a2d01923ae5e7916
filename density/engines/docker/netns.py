"""Asking inside a container's network without going over one: by a socket on its own loopback."""

import ctypes
import os
import re
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_CLONE_NEWNET = 0x40000000
_BAD_REQUEST = 400
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: (.*))?$", re.DOTALL)
_PATH = "/%?&=+:,;@!$'()*~[]"
LONGEST_STATUS = 200
"""Bytes of an answer's first line."""
PROBE_SECONDS = 5.0
"""A container that takes longer than this to answer on its own loopback is asked again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back when an instance was asked whether it is ready, in words."""

    is_ready: bool
    words: str


def ask_http(pid: int, port: int, path: str) -> Answer:
    """What 127.0.0.1:PORT inside this process's network answers to a GET; below 400 it is ready. Blocks up to 5 s.

    Only the answer's first line is read, so that neither a slow nor an endless answer costs more.

    Raises:
        PermissionError: this process may not enter another network namespace.
    """
    deadline = time.monotonic() + PROBE_SECONDS
    asked = (
        f"GET /{quote(path.lstrip('/'), safe=_PATH)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )
    with socket_in(Path(f"/proc/{pid}/ns/net")) as stream:
        try:
            stream.settimeout(PROBE_SECONDS)
            stream.connect(("127.0.0.1", port))
            stream.sendall(asked.encode())
            return parse_status(_first_line(stream, deadline))
        except PermissionError:
            raise
        except TimeoutError:
            return Answer(is_ready=False, words=f"none within {PROBE_SECONDS:.0f} s")
        except OSError as error:
            return Answer(is_ready=False, words=(error.strerror or str(error)).lower())


def parse_status(line: bytes) -> Answer:
    """What the first line of an answer says."""
    found = _STATUS.match(line.rstrip(b"\r"))
    if found is None:
        return Answer(is_ready=False, words="not HTTP" if line else "hung up without an answer")
    reason = (found[2] or b"").decode(errors="replace").strip()
    return Answer(int(found[1]) < _BAD_REQUEST, f"{int(found[1])} {reason}".strip())


def _first_line(stream: socket.socket, deadline: float) -> bytes:
    said = b""
    while b"\n" not in said and len(said) < LONGEST_STATUS:
        stream.settimeout(max(deadline - time.monotonic(), 0.001))
        more = stream.recv(LONGEST_STATUS - len(said))
        if not more:
            break
        said += more
    return said.partition(b"\n")[0]


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
