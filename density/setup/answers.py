"""Ask an engine whether it answers: `answers.py docker|libvirt` says its version, or why not, in one line.

Run by the setup scripts, also before anything is installed: `docker` needs nothing but Python.
Exit status: 0 it answers, 1 it does not, 3 it refuses this user.
"""

import http.client
import importlib
import json
import os
import socket
import sys

SOCKET = "unix:///var/run/docker.sock"
LIBVIRT = "qemu:///system"
LIBVIRT_SOCKETS = ("/var/run/libvirt/libvirt-sock", "/var/run/libvirt/virtqemud-sock")
SECONDS = 5.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


def docker() -> str:
    """Version and endpoint of the engine that `DOCKER_HOST` names, or of the local one.

    Raises:
        OSError: it does not answer; a PermissionError where it refuses this user.
    """
    endpoint = os.environ.get("DOCKER_HOST") or SOCKET
    scheme, _, place = endpoint.partition("://")
    if scheme == "unix":
        connection: http.client.HTTPConnection = _UnixConnection(place)
    elif scheme == "tcp" and not os.environ.get("DOCKER_TLS_VERIFY"):
        connection = http.client.HTTPConnection(place, timeout=SECONDS)
    else:
        return f"not asked  {endpoint}"
    try:
        connection.request("GET", "/version")
        return f"{json.load(connection.getresponse())['Version']}  {endpoint}"
    except (ValueError, KeyError, http.client.HTTPException) as error:
        raise ConnectionError(f"{endpoint} is no Docker engine: {error!r}") from error
    finally:
        connection.close()


def libvirt() -> str:
    """Version of libvirt, whose QEMU driver answers; QEMU's own may take seconds to ask for.

    Raises:
        OSError: it does not answer; a PermissionError where it refuses this user.
    """
    try:
        module = importlib.import_module("libvirt")
    except ImportError as error:
        raise ConnectionError(f"Python's libvirt module is missing: {error}") from error
    module.registerErrorHandler(lambda *_: None, None)
    try:
        connection = module.open(LIBVIRT)
    except module.libvirtError as error:
        raise (PermissionError if _libvirt_listens() else ConnectionError)(str(error)) from error
    version = connection.getLibVersion()
    connection.close()
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}  {LIBVIRT}"


def _libvirt_listens() -> bool:
    """Whether the daemon runs and it is this user whom it does not let in, which it says in many ways."""
    for path in LIBVIRT_SOCKETS:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(SECONDS)
            try:
                client.connect(path)
            except PermissionError:
                return True
            except OSError:
                continue
            return True
    return False


def main() -> int:
    """Ask the engine named on the command line."""
    try:
        line, status = {"docker": docker, "libvirt": libvirt}[sys.argv[1]](), 0
    except PermissionError as error:
        line, status = str(error), 3
    except OSError as error:
        line, status = str(error), 1
    # What an engine says is shown, not obeyed: control characters as `\\x1b`.
    sys.stdout.write(line.encode("unicode_escape").decode("ascii") + "\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
