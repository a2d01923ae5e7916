"""The comparison as Markdown, for a README; pure."""

from collections.abc import Iterator, Sequence

from density.capacity.versus.figure import Subject
from density.report.marked import escape, table
from density.report.versus.table import Row, column, columns
from density.report.versus.text import HELD


def markdown(rows: Sequence[Row], subjects: tuple[Subject, ...], remarks: Sequence[str]) -> str:
    """One table over all rows, then a table a row, then the remarks."""
    parts = [_overview(rows)]
    parts += [part for row in rows if columns(row, subjects) for part in _details(row, subjects)]
    parts.append("\n".join(f"- {escape(remark)}" for remark in remarks))
    return "\n\n".join(part for part in parts if part) + "\n"


def _overview(rows: Sequence[Row]) -> str:
    return table(
        ("", "the article", "measured here", ""),
        [(row.title, escape(row.says), escape(_said(row)), HELD[row.held]) for row in rows],
    )


def _said(row: Row) -> str:
    return "; ".join(statement.text for statement in row.statements) or "; ".join(row.notes)


def _details(row: Row, subjects: tuple[Subject, ...]) -> Iterator[str]:
    shown = columns(row, subjects)
    cells = [(line.label, *(escape(line.cells[subject.name].text) for subject in shown)) for line in row.lines]
    measured = [each for each in cells if any(cell != "–" for cell in each[1:])]
    yield table((row.title, *(escape(column(subject)) for subject in shown)), measured)
    if row.notes:
        yield f"{escape('; '.join(row.notes))}."
