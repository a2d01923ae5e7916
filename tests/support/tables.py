"""The tables that long tests print at their end."""

from collections.abc import Iterable, Sequence

import pytest


def write_table(
    terminal: pytest.TerminalReporter,
    title: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[str]],
) -> None:
    """A section with a head and a line for each row.

    Args:
        terminal: where to.
        title: of the section.
        columns: head and format (such as `<22`) of each column.
        rows: one cell for each column; a further one is a remark at the line's end.
    """
    terminal.section(title)
    formats = [how for _, how in columns]
    for cells in ([head for head, _ in columns], *rows):
        line = " ".join(f"{cell:{how}}" for cell, how in zip(cells, formats, strict=False))
        terminal.line("  ".join((line, *cells[len(formats) :])).rstrip())
