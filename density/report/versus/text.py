"""The comparison as text for a terminal, at most 80 columns wide; pure."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from density.capacity.versus.figure import Subject
from density.report.versus.claims import NO_CLAIM, Held
from density.report.versus.table import Row, column, columns

WIDTH = 80
LABEL = 24
HELD: Mapping[Held, str] = {
    "yes": "held",
    "partly": "held in part",
    "no": "did not hold",
    "not decided": "not decided",
    "not measured": "not measured",
    "no claim": "",
}
_BREAKS = re.compile(r"(?<=\D )|(?<=–)|(?<=[a-z]\.)|(?<=\w-)")
"""Where a cell can be cut: after a word, in an interval, in a name; not in a number, nor between it and its unit."""


def text(rows: Sequence[Row], subjects: tuple[Subject, ...], remarks: Sequence[str]) -> str:
    """Every row with its claim and its numbers; `remarks` come last."""
    blocks = ["\n".join(_block(row, subjects)) for row in rows]
    if remarks:
        blocks.append("\n".join(_wrapped(remark, "") for remark in remarks))
    return "\n\n".join(blocks)


def _block(row: Row, subjects: tuple[Subject, ...]) -> Iterator[str]:
    held = HELD[row.held]
    yield f"{row.title.upper()}{held.rjust(WIDTH - len(row.title))}"
    yield f"The article: {row.says}."
    for statement in row.statements:
        mark = {True: "yes", False: "no", None: "" if row.held == NO_CLAIM else "?"}[statement.held]
        yield _wrapped(f"{mark:>5}  {statement.text}", " " * 7)
    shown = columns(row, subjects)
    if shown:
        yield ""
        yield from _grid(row, shown)
    for note in row.notes:
        yield _wrapped(f"  {note}", "    ")


def _grid(row: Row, shown: Sequence[Subject]) -> Iterator[str]:
    width = min(20, (WIDTH - LABEL) // len(shown))
    yield from _line("", [column(subject) for subject in shown], width)
    for line in row.lines:
        cells = [line.cells[subject.name].text for subject in shown]
        if any(cell != "–" for cell in cells):
            yield from _line(line.label, cells, width)


def _line(label: str, cells: Sequence[str], width: int) -> Iterator[str]:
    parts = [_folded(cell, width - 1) for cell in cells]
    for number, pieces in enumerate(zip_longest(*parts, fillvalue="")):
        head = label if number == 0 else ""
        yield f"{head:<{LABEL}}{''.join(f'{piece:<{width}}' for piece in pieces)}".rstrip()


def _folded(cell: str, width: int) -> list[str]:
    """In lines of this width; what stands in brackets begins a line where not all fits in one."""
    if len(cell) <= width:
        return [cell]
    before, bracket, inside = cell.partition(" (")
    lines = []
    for part in (before, bracket.lstrip() + inside):
        lines.append("")
        for piece in _BREAKS.split(part):
            if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return [line.rstrip() for line in lines if line]


def _wrapped(words: str, indent: str) -> str:
    return textwrap.fill(words, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
