"""Lowering a limit of the kernel for a moment, and putting it back whatever happens."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUARD = 'read -r _; printf %s "$2" > "$1"'
"""Waits until its input ends, however that comes about, and writes the old value with what the shell has built in."""


@contextmanager
def lowered(parameter: str, value: int) -> Iterator[int]:
    """A kernel parameter (`kernel.pid_max`) has this value inside; the old one comes back, also if we are killed.

    A process of its own waits beside us for our end. It is there before anything is lowered, so putting back needs no
    new process.
    """
    with lowered_text(parameter, str(value)):
        yield value


@contextmanager
def lowered_text(parameter: str, value: str) -> Iterator[None]:
    """The same for a parameter of several numbers, such as a range."""
    path = Path("/proc/sys", *parameter.split("."))
    old = path.read_text().strip()
    with subprocess.Popen(
        ["sh", "-c", GUARD, "guard", str(path), old], stdin=subprocess.PIPE, start_new_session=True
    ) as guard:
        try:
            path.write_text(value)
            yield
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait()
    assert path.read_text().strip() == old
