"""The comparison as Markdown, for a README; pure."""

import re
from collections.abc import Iterator, Sequence

from density.capacity.versus.figure import Subject
from density.report.versus.table import Row, column, columns
from density.report.versus.text import HELD

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def markdown(rows: Sequence[Row], subjects: tuple[Subject, ...], remarks: Sequence[str]) -> str:
    """One table over all rows, then a table a row, then the remarks."""
    parts = ["\n".join(_overview(rows))]
    parts += ["\n".join(_details(row, subjects)) for row in rows if columns(row, subjects)]
    parts.append("\n".join(f"- {escaped(remark)}" for remark in remarks))
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(words: str) -> str:
    """As text in Markdown, whatever is in it."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))


def _overview(rows: Sequence[Row]) -> Iterator[str]:
    yield "| | the article | measured here | |"
    yield "|---|---|---|---|"
    for row in rows:
        said = "; ".join(statement.text for statement in row.statements) or "; ".join(row.notes)
        yield f"| {row.title} | {escaped(row.says)} | {escaped(said)} | {HELD[row.held]} |"


def _details(row: Row, subjects: tuple[Subject, ...]) -> Iterator[str]:
    shown = columns(row, subjects)
    yield f"| {row.title} | {' | '.join(escaped(column(subject)) for subject in shown)} |"
    yield f"|---|{'---|' * len(shown)}"
    for line in row.lines:
        cells = [line.cells[subject.name].text for subject in shown]
        if any(cell != "–" for cell in cells):
            yield f"| {line.label} | {' | '.join(escaped(cell) for cell in cells)} |"
    if row.notes:
        yield ""
        yield escaped("; ".join(row.notes)) + "."
