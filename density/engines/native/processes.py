"""Finding and ending processes of this engine that no one remembers."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import anyio

from density.engines.native.server import ARGV0, wait_for_end

PROC = Path("/proc")
_NOT_OURS = (ProcessLookupError, FileNotFoundError, PermissionError)
"""What is said of a process that has ended, or is somebody else's; any other error is none of the process's."""


def run_of(cmdline: bytes) -> str | None:
    """The run id in a process's command line (NUL-separated words); None if it is not of this engine."""
    words = cmdline.decode(errors="replace").rstrip("\0").split("\0")
    if words[0] != ARGV0 or "--run" not in words[:-1]:
        return None
    return words[words.index("--run") + 1]


def name_of(cmdline: bytes) -> str:
    """The instance id in a command line of this engine, or `server`."""
    words = cmdline.decode(errors="replace").rstrip("\0").split("\0")
    return words[words.index("--id") + 1] if "--id" in words[:-1] else "server"


def find(run_id: str | None, *, root: Path = PROC) -> Iterator[tuple[int, str]]:
    """Pid and name of every process of this run (None: of any run) of this engine; a walk over all processes.

    Raises:
        OSError: there is no descriptor left to look at them.
    """
    for pid, cmdline in _cmdlines(root):
        run = run_of(cmdline)
        if run is not None and run_id in {None, run}:
            yield pid, name_of(cmdline)


def is_starting(pid: int, *, root: Path = PROC) -> bool:
    """Whether the kernel is still loading the program of this process: it has no command line, and has not ended."""
    with suppress(OSError):
        if not (root / str(pid) / "cmdline").read_bytes():
            state = (root / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
            return state not in {"Z", "X"}
    return False


def kill(pid: int, run_id: str | None) -> bool:
    """SIGKILL to the process if it is one of this run; says whether it was.

    A pid may belong to another process by now: the process is pinned first, looked at second and only then signalled.

    Raises:
        OSError: there is no descriptor left to do so.
    """
    with suppress(*_NOT_OURS):
        descriptor = os.pidfd_open(pid)
        try:
            run = run_of((PROC / str(pid) / "cmdline").read_bytes())
            if run is not None and run_id in {None, run}:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        finally:
            os.close(descriptor)
    return False


async def end(pids: Sequence[int], run_id: str | None, *, grace_seconds: float) -> None:
    """Kill these processes where they are of this run, and wait at most so long until they are gone."""
    killed = []
    for pid in pids:
        with suppress(OSError):  # what is still there is for the caller to find
            if kill(pid, run_id):
                killed.append(pid)
    with anyio.move_on_after(grace_seconds):
        for pid in killed:
            await wait_for_end(pid)


def _cmdlines(root: Path) -> Iterator[tuple[int, bytes]]:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.isdigit():
                with suppress(*_NOT_OURS):
                    yield int(entry.name), Path(entry.path, "cmdline").read_bytes()
