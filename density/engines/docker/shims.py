"""Shims that outlive their containers: processes that a container runtime leaves where it cannot fork to end them.

On a full host a daemon removes a container from its list although its shim stays (seen with Docker 20.10: 151 of 160,
with 11 threads each, once nothing could be forked), so its list alone does not say that a container is gone.
"""

import os
import signal
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import anyio

from density.host.container_mounts import SHORT
from density.threads import in_thread

SHIM_SECONDS = 5.0
"""A shim ends a moment after its container; one that has not by then is ended."""
KILLED_SECONDS = 5.0
_LOOK_SECONDS = 0.25
_PROC = Path("/proc")
_BEFORE_ID = {b"containerd-shim": b"-id", b"conmon": b"-c"}
"""How a shim's name begins, containerd's and Podman's -> what stands before the container's id on its command line."""
_LONGEST = 8192


def shim_of(cmdline: bytes) -> str:
    """The id of the container whose shim has this command line; empty where it is none."""
    words = cmdline.split(b"\0")
    name = words[0].rpartition(b"/")[2]
    wanted = next((word for begin, word in _BEFORE_ID.items() if name.startswith(begin)), None)
    found = next((value for word, value in pairwise(words) if word == wanted), b"")
    return found.decode(errors="replace")


def find_shims(containers: Collection[str], *, proc: Path = _PROC) -> dict[int, str]:
    """Process -> container id, of the shims of these containers; a walk over all processes.

    Args:
        containers: whole ids, or the first 12 letters of them.
        proc: where processes are.
    """
    return {pid: found for pid, found in _shims(proc) if found in containers or found[:SHORT] in containers}


def in_words(pid: int, container: str) -> str:
    """A shim, by its container's name."""
    return f"process {pid} (the shim of {container})"


async def end_shims(containers: Mapping[str, str], *, proc: Path = _PROC) -> tuple[str, ...]:
    """Wait for the shims of containers that are gone, and end those that stay.

    Args:
        containers: id -> name, of what the daemon does not list any more.
        proc: where processes are.

    Returns:
        What is still there, by the containers' names.
    """
    look = partial(find_shims, containers.keys(), proc=proc)
    for seconds in (SHIM_SECONDS, KILLED_SECONDS):
        with anyio.move_on_after(seconds):
            while found := await in_thread(look):  # noqa: ASYNC110 — nobody tells
                await anyio.sleep(_LOOK_SECONDS)
            return ()
        for pid, container in found.items():
            _kill(pid, container)
    return tuple(in_words(pid, containers[each]) for pid, each in sorted(found.items()))


def _shims(proc: Path) -> Iterator[tuple[int, str]]:
    with os.scandir(proc) as entries:
        for entry in entries:
            if entry.name.isdigit():
                with suppress(OSError), Path(entry.path, "cmdline").open("rb", buffering=0) as file:
                    if found := shim_of(file.read(_LONGEST)):
                        yield int(entry.name), found


def _kill(pid: int, container: str) -> None:
    """SIGKILL, where the process is still that shim: it is pinned first, and looked at second."""
    with suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            if shim_of(Path(f"/proc/{pid}/cmdline").read_bytes()) == container:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
