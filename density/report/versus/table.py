"""The comparison as rows: claim, figures, whether it held; pure. Text, Markdown and JSON are made of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from density.capacity.versus.figure import Figures, Subject
from density.report.versus.claims import CLAIMS, Held, Statement, overall, seen
from density.report.versus.lines import LINES, Cell, cell, notes


@dataclass(frozen=True, slots=True)
class TableLine:
    """A line of a row: subject's name -> its cell."""

    label: str
    name: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the article, measured.

    Attributes:
        says: the article's claim, of containers against VMs.
        held: whether it held here.
        statements: the parts of the claim in this host's numbers.
        notes: what else belongs to the numbers, and why some are missing.
    """

    key: str
    title: str
    says: str
    held: Held
    statements: tuple[Statement, ...]
    lines: tuple[TableLine, ...]
    notes: tuple[str, ...]


def column(subject: Subject) -> str:
    """A subject's heading: `vm (tcg)`."""
    return f"{subject.name} ({subject.accelerator})" if subject.accelerator else subject.name


def make_rows(figures: Figures, subjects: tuple[Subject, ...], keys: tuple[str, ...]) -> tuple[Row, ...]:
    """These rows, in this order."""
    view = seen(figures, subjects)
    # Why a whole column is empty is said once, beside the table.
    present = [subject.name for subject in subjects if not subject.missing]
    rows = []
    for key in keys:
        claim = CLAIMS[key]
        statements = claim.statements(view)
        lines = tuple(
            TableLine(
                each.label,
                f"{each.name}.{each.how}" if each.how in {"max", "ratio", "rate"} else each.name,
                {subject.name: cell(figures, key, each, subject, view.process) for subject in subjects},
            )
            for each in LINES[key]
        )
        told = tuple(notes((line.label, {name: line.cells[name] for name in present}) for line in lines))
        rows.append(Row(key, claim.title, claim.says, overall(claim, statements), statements, lines, told))
    return tuple(rows)


def columns(row: Row, subjects: tuple[Subject, ...]) -> tuple[Subject, ...]:
    """The subjects of which something was measured in this row."""
    return tuple(subject for subject in subjects if any(line.cells[subject.name].text != "–" for line in row.lines))
