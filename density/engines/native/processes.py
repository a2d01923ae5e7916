"""The processes of this engine, by their command lines: also those that no one remembers."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from density.host.processes import NATIVE, PROC, Words, command_lines, word_after


def run_of(words: Words) -> str:
    """The run id in a process's command line; empty where it is not of this engine."""
    return word_after(words, "--run") if words[0] == NATIVE else ""


def name_of(words: Words) -> str:
    """The instance id in a command line of this engine, or `server`."""
    return word_after(words, "--id") or "server"


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
