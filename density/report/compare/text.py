"""A comparison on a terminal: what differs first, then what does not."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from density.report.compare.comparison import Against, Comparison, Row
from density.report.compare.words import (
    LONGEST_SENTENCE,
    TITLES,
    alone,
    answer,
    by_finding,
    change,
    clean,
    explained,
    is_main,
    known,
    title,
    values,
)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Write all of it that a person needs; the other formats have every metric."""
    for index, against in enumerate(comparison.others):
        if index:
            console.print()
        console.print(Text(title(comparison, against)))
        console.print(Text(answer(against), style="bold"))
        if against.conditions:
            console.print()
            console.print(_conditions(against))
        for table in _tables(against):
            console.print()
            console.print(table)
    console.print()
    for line in _closing(comparison):
        console.print(line)


def _conditions(against: Against) -> Table:
    table = _table("not the same", "baseline", "other", "what it may change")
    for each in against.conditions:
        cells = (each.what, each.baseline, each.other)
        table.add_row(*(Text(clean(cell), style="yellow") for cell in cells), Text(clean(each.spoils)))
    return table


def _tables(against: Against) -> Iterator[Table]:
    for finding, rows in by_finding(against.rows):
        shown = [row for row in rows if is_main(row)]
        if not shown:
            continue
        table = _table(TITLES[finding], "baseline", "other", "change", "95% interval", numbers=3)
        for row in shown:
            table.add_row(
                Text(clean(row.key)), *map(Text, values(row)), Text(change(row), style=_style(row)), Text(known(row))
            )
        if more := len(rows) - len(shown):
            table.add_row(Text(f"and {more} more", style="dim"))
        yield table


def _table(*headings: str, numbers: int = 0) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for index in range(len(headings)):
        table.add_column(overflow="fold", justify="right" if 0 < index <= numbers else "left")
    table.add_row(*(Text(heading, style="bold" if not index else "dim") for index, heading in enumerate(headings)))
    return table


def _style(row: Row) -> str:
    return {True: "green", False: "red", None: ""}[row.better]


def _closing(comparison: Comparison) -> Iterator[Text]:
    for doubt in comparison.doubts:
        yield Text(clean(doubt, LONGEST_SENTENCE), style="yellow")
    yield Text(explained(comparison), style="dim")
    if hint := alone(comparison):
        yield Text(hint, style="dim")
