"""A Docker daemon beside the host's own, without a network, that lives in one directory and leaves nothing behind."""

import os
import re
import select
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 60.0
_LISTENS = re.compile(r"API listen on ([^\s\"]+)")


@contextmanager
def dockerd(
    directory: Path,
    *,
    data_root: Path | None = None,
    within: Sequence[str] = (),
    listen: str = "",
    options: Sequence[str] = (),
) -> Iterator[str]:
    """The endpoint of a second dockerd, for as long as this is entered.

    Args:
        directory: of its sockets and files; empty, and with a short path.
        data_root: where its images and containers are kept; None: in the directory too.
        within: a command that runs it, such as `prlimit --nofile=160:160`, and becomes it by `exec`.
        listen: its endpoint, such as `tcp://127.0.0.1:2376`; empty: a socket in the directory.
        options: more of its command line.
    """
    places = {
        "data-root": data_root or directory / "data",
        "exec-root": directory / "exec",
        "pidfile": directory / "pid",
    }
    listen = listen or f"unix://{directory}/docker.sock"
    command = [*within, "dockerd", "-H", listen, "--bridge", "none", "--iptables=false", *options]
    command += [f"--{option}={place}" for option, place in places.items()]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        address, drain = _await_start(process)
        yield f"{listen.partition('://')[0]}://{address}"
        process.terminate()
        drain.join(STOP_SECONDS)
    finally:
        _end(process)
        _unmount_below(directory)
        if data_root:
            _unmount_below(data_root)


def _await_start(process: subprocess.Popen[str]) -> tuple[str, threading.Thread]:
    """Where it listens, and the thread that goes on reading what it says."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := _LISTENS.search(line):
            drain = threading.Thread(target=process.communicate, daemon=True)
            drain.start()
            return found[1], drain
    raise RuntimeError("".join(said))


def _end(process: subprocess.Popen[str]) -> None:
    """End it, and what it started: shims of containers that nobody removed would stay."""
    if process.poll() is None:
        process.terminate()
        descriptor = os.pidfd_open(process.pid)
        gone, _, _ = select.select([descriptor], [], [], STOP_SECONDS)
        os.close(descriptor)
        if not gone:
            process.kill()
    process.wait()


def _unmount_below(directory: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed([path for path in mounts if path.startswith(f"{directory}/")]):
        subprocess.run(["umount", mount], check=True)
