"""Finding processes by their command lines, and ending them for sure."""

import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import anyio

from density.model import RUN_ID, run_of

PROC = Path("/proc")
NATIVE = "density-native"
"""How plain processes are called, so that a clean-up takes no container's payload for one."""
PAYLOADS = frozenset({"payload", NATIVE})
"""How the payload is called, in containers and as a plain process."""
_ATTEMPTS = 3
LONGEST_BYTES = 32_768
"""Of a command line; any user may start processes with 2 MiB each. QEMU's has 6 KiB, and its name at the beginning."""
_LOOK_SECONDS = 0.1
_NOT_OURS = (ProcessLookupError, FileNotFoundError, PermissionError)
"""What is said of a process that has ended, or is somebody else's; any other error is none of the process's."""

Words = Sequence[str]
"""A command line."""


def command_lines(root: Path = PROC) -> Iterator[tuple[int, Words]]:
    """Pid and command line of every process that has one; a walk over all processes.

    Raises:
        OSError: there is no descriptor left to look at them.
    """
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.isdigit():
                with suppress(*_NOT_OURS):
                    if words := _words(Path(entry.path)):
                        yield int(entry.name), words


def run_behind(words: Words) -> str:
    """The run that a payload, a QEMU or a container of libvirt's was started for, by its command line; else empty.

    Whole run ids alone count, because anything else may be somebody else's.
    """
    if Path(words[0]).name in PAYLOADS:
        found = word_after(words, "--run")
        return found if RUN_ID.fullmatch(found) else ""
    return run_of(domain_behind(words))


def domain_behind(words: Words) -> str:
    """The domain that libvirt started a QEMU or a container for, by its command line; else empty."""
    program = Path(words[0]).name
    if program.startswith(("qemu-system-", "qemu-kvm")):
        return word_after(words, "-name").removeprefix("guest=").partition(",")[0]
    return word_after(words, "--name") if program == "libvirt_lxc" else ""


def word_after(words: Words, option: str) -> str:
    """The word after an option; empty where there is none."""
    return next((word for before, word in pairwise(words) if before == option), "")


def kill(pid: int, is_it: Callable[[Words], bool]) -> bool:
    """SIGKILL to the process if its command line is the right one; says whether it was.

    A pid may belong to another process by now: the process is pinned first, looked at second and only then signalled.

    Raises:
        OSError: there is no descriptor left to do so.
    """
    with suppress(*_NOT_OURS):
        descriptor = os.pidfd_open(pid)
        try:
            words = _words(PROC / str(pid))
            if words and is_it(words):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        finally:
            os.close(descriptor)
    return False


async def end(pids: Sequence[int], is_it: Callable[[Words], bool], *, grace_seconds: float) -> None:
    """Kill these processes where they are the right ones, and wait at most so long until they are gone."""
    killed = []
    for pid in pids:
        with suppress(OSError):  # what is still there is for the caller to find
            if kill(pid, is_it):
                killed.append(pid)
    with anyio.move_on_after(grace_seconds):
        for pid in killed:
            await wait_for_end(pid)


async def end_all(
    find: Callable[[], Awaitable[Mapping[int, str]]], is_it: Callable[[Words], bool], *, grace_seconds: float
) -> tuple[Mapping[int, str], Mapping[int, str]]:
    """End what is found, and look again, a few times: what is forked meanwhile is found too.

    Args:
        find: pid -> name of those to end.
        is_it: whether a command line is that of one of them.
        grace_seconds: how long one attempt waits for them to go.

    Returns:
        Those that were to be ended, and those that are left.
    """
    seen: dict[int, str] = {}
    left = await find()
    for _ in range(_ATTEMPTS):
        if not left:
            break
        seen |= left
        await end(tuple(left), is_it, grace_seconds=grace_seconds)
        left = await find()
    return seen, left


async def wait_for_end(pid: int) -> None:
    """Return when the process has ended, at once where there is none."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError:
        # No descriptor left to be told by; it is looked for instead.
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110, ASYNC240 — nobody tells, and /proc does not block
            await anyio.sleep(_LOOK_SECONDS)
        return
    try:
        await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


def _words(process: Path) -> Words:
    with (process / "cmdline").open("rb") as file:
        text = file.read(LONGEST_BYTES).decode(errors="replace").rstrip("\0")
    return text.split("\0") if text else ()
