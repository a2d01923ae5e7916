"""A libvirtd beside the host's own, with a virtlogd: they see none of the host's domains and leave nothing behind."""

import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 20.0
_START = """
mount --make-rprivate /
for directory in /etc/libvirt /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    mount -t tmpfs libvirt "$directory"
done
mkdir /var/lib/libvirt/qemu
prlimit --nofile="$3:$3" virtlogd --pid-file "$1/virtlogd.pid" &
exec prlimit --nofile="$2:$2" libvirtd --config "$1/libvirtd.conf" --pid-file "$1/libvirtd.pid"
"""
"""In a mount namespace of their own, all that they would share with the host's is empty."""


@contextmanager
def libvirtd(directory: Path, *, files: int = 1024, log_files: int = 1024) -> Iterator[str]:
    """The URI of a second libvirtd, for as long as this is entered.

    Args:
        directory: of its sockets; empty, and with a short path.
        files: how many it may open.
        log_files: how many its virtlogd may open.
    """
    (directory / "libvirtd.conf").write_text(f'unix_sock_dir = "{directory}"\nauth_unix_rw = "none"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as started:
        started.bind(f"{directory}/started")
        started.settimeout(START_SECONDS)
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _START, "start", str(directory), str(files), str(log_files)],
            env=os.environ | {"NOTIFY_SOCKET": f"{directory}/started"},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            for _ in ("virtlogd", "libvirtd"):
                started.recv(4096)
            yield f"qemu+unix:///system?socket={directory}/libvirt-sock"
        finally:
            logs = os.pidfd_open(int((directory / "virtlogd.pid").read_text()))
            # The session is theirs; QEMU has left it for one of its own.
            os.killpg(process.pid, signal.SIGTERM)
            _await_end(process)
            # It removes its files when it ends, which may be after a libvirtd that was killed.
            select.select([logs], [], [], STOP_SECONDS)
            os.close(logs)


@contextmanager
def restarted(directory: Path) -> Iterator[None]:
    """Start a libvirtd anew that was killed, where the first one was, for as long as this is entered."""
    logs = (directory / "virtlogd.pid").read_text().strip()
    inside = ["nsenter", "--target", logs, "--mount", "libvirtd", "--config", f"{directory}/libvirtd.conf"]
    process = subprocess.Popen(
        [*inside, "--pid-file", f"{directory}/libvirtd.pid"],
        env=os.environ | {"NOTIFY_SOCKET": f"{directory}/started"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        _await_end(process)


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
