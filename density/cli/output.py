"""Documents that a command writes: to a file, or to standard output."""

import errno
from collections.abc import Mapping
from pathlib import Path

import click

from density.errors import DensityError, Unwritten, UsageError

STDOUT = Path("-")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def put(content: str | bytes, path: Path | None) -> None:
    """Write a document to a file whose directory is there; None and `-`: standard output.

    Raises:
        UsageError: the file cannot be written.
        Unwritten: its disk is full.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", errors="replace")
    if path is None or path == STDOUT:
        click.echo(data, nl=False)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise unwritten(path, error) from error


def unwritten(path: Path, error: OSError) -> DensityError:
    """What to raise where a file cannot be written: it is no place for a file, or its disk is full."""
    if error.errno in _FULL:
        return Unwritten(f"{path} could not be written whole: {error.strerror}")
    return UsageError(f"{path} cannot be written: {error.strerror}")


def form_of(output: Path | None, by_suffix: Mapping[str, str], *, otherwise: str = "text") -> str:
    """The format that the end of a file's name asks for, else the other one."""
    return by_suffix.get(output.suffix.lower(), otherwise) if output else otherwise
