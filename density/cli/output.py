"""What a command writes: lines for the person, and documents to a file or to standard output.

Beside this and `SafeConsole` nothing in the package writes to a terminal, so that nothing from outside can steer one.
"""

import errno
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from density.errors import FULL_DISK, DensityError, Unwritten, UsageError
from density.text import visible

STDOUT = Path("-")
LINES = "\n\t"
"""What shapes lines, and stays as it is."""
_FULL = FULL_DISK | {errno.EFBIG}


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write lines to standard output or standard error."""
    click.echo(visible(text, keep=LINES), err=err, nl=nl)


def put(content: str | bytes, path: Path | None) -> None:
    """Write a document to a file whose directory is there; None and `-`: standard output.

    Raises:
        UsageError: the file cannot be written.
        Unwritten: its disk is full.
    """
    if path is None or path == STDOUT:
        shown = content if isinstance(content, bytes) else visible(content, keep=LINES).encode("utf-8")
        click.echo(shown, nl=False)
        return
    try:
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", errors="replace"))
    except OSError as error:
        raise unwritten(path, error) from error


def keep(path: Path, text: str) -> bool:
    """Write a file of a run that is over; where it cannot be written it is said, and no half of it stays.

    Returns:
        Whether it was written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        with suppress(OSError):  # a file system that became read-only refuses this too
            path.unlink(missing_ok=True)
        echo(f"error: {path} could not be written: {error.strerror}", err=True)
        return False
    return True


def unwritten(path: Path, error: OSError) -> DensityError:
    """What to raise where a file cannot be written: it is no place for a file, or its disk is full."""
    if error.errno in _FULL:
        return Unwritten(f"{path} could not be written whole: {error.strerror}")
    return UsageError(f"{path} cannot be written: {error.strerror}")


def form_of(output: Path | None, by_suffix: Mapping[str, str], *, otherwise: str = "text") -> str:
    """The format that the end of a file's name asks for, else the other one."""
    return by_suffix.get(output.suffix.lower(), otherwise) if output else otherwise
