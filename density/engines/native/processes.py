"""The processes of this engine, by their command lines: also those that no one remembers."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from density.host.processes import PROC, Words, command_lines

ARGV0 = "density-native"
"""First word of the command line of every process here, so that a clean-up takes no container's payload for one."""


def run_of(words: Words) -> str:
    """The run id in a process's command line; empty where it is not of this engine."""
    if words[0] != ARGV0 or "--run" not in words[:-1]:
        return ""
    return words[words.index("--run") + 1]


def name_of(words: Words) -> str:
    """The instance id in a command line of this engine, or `server`."""
    return words[words.index("--id") + 1] if "--id" in words[:-1] else "server"


def find(run_id: str, *, root: Path = PROC) -> Iterator[tuple[int, str]]:
    """Pid and name of every process of this run; a walk over all processes.

    Raises:
        OSError: there is no descriptor left to look at them.
    """
    for pid, words in command_lines(root):
        if run_of(words) == run_id:
            yield pid, name_of(words)


def is_starting(pid: int, *, root: Path = PROC) -> bool:
    """Whether the kernel is still loading the program of this process: it has no command line, and has not ended."""
    with suppress(OSError):
        if not (root / str(pid) / "cmdline").read_bytes():
            state = (root / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
            return state not in {"Z", "X"}
    return False
