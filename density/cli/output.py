"""Documents that a command writes: to a file, or to standard output."""

from collections.abc import Mapping
from pathlib import Path

import click

from density.cli.errors import Unread
from density.errors import UsageError

STDOUT = Path("-")


def put(content: str | bytes, path: Path | None) -> None:
    """Write a document to a file whose directory is there; None and `-`: standard output.

    Raises:
        UsageError: the file cannot be written.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", errors="replace")
    if path is None or path == STDOUT:
        with Unread():
            click.echo(data, nl=False)
        return
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def form_of(output: Path | None, by_suffix: Mapping[str, str], *, otherwise: str = "text") -> str:
    """The format that the end of a file's name asks for, else the other one."""
    return by_suffix.get(output.suffix.lower(), otherwise) if output else otherwise
