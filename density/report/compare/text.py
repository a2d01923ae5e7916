"""A comparison on a terminal: what differs first, then what does not."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, RenderableType
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

GAP = "  "
"""Between columns."""
LEAST = 24
"""Columns for what stands behind the numbers: an interval."""


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Write all of it that a person needs; the other formats have every metric."""
    for index, against in enumerate(comparison.others):
        if index:
            console.print()
        console.print(Text(title(comparison, against)))
        console.print(Text(answer(against), style="bold"))
        if against.conditions:
            console.print()
            console.print(_conditions(against, console.width))
        for line in _metrics(against, console.width):
            console.print(line)
    console.print()
    for line in _closing(comparison):
        console.print(line)


def _conditions(against: Against, width: int) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    longest = max(cell_len(clean(each.what)) for each in against.conditions)
    table.add_column(overflow="fold", no_wrap=longest <= width // 2)
    for _ in range(3):
        table.add_column(overflow="fold")
    table.add_row(*_head("not the same", "baseline", "other", "what it may change"))
    for each in against.conditions:
        cells = (each.what, each.baseline, each.other)
        table.add_row(*(Text(clean(cell), style="yellow") for cell in cells), Text(clean(each.spoils)))
    return table


def _metrics(against: Against, width: int) -> Iterator[RenderableType]:
    for finding, rows in by_finding(against.rows):
        shown = [row for row in rows if is_main(row)]
        if not shown:
            continue
        head = _head(TITLES[finding], "baseline", "other", "change", "95% interval")
        cells = [
            (Text(clean(row.key)), *map(Text, values(row)), Text(change(row), style=_style(row)), Text(known(row)))
            for row in shown
        ]
        yield Text()
        yield from _lines([head, *cells], width)
        if more := len(rows) - len(shown):
            yield Text(f"and {more} more", style="dim")


def _head(*headings: str) -> tuple[Text, ...]:
    return tuple(Text(heading, style="dim" if index else "bold") for index, heading in enumerate(headings))


def _lines(rows: Sequence[tuple[Text, ...]], width: int) -> Iterator[RenderableType]:
    """A table; each name has a line of its own where there is no room beside it, for names are copied whole."""
    name, *numbers = (max(row[column].cell_len for row in rows) for column in range(4))
    others = sum(numbers) + 4 * len(GAP)
    if name + others + LEAST <= width:
        yield _grid(rows, [name, *numbers], width)
        return
    for names, *figures in rows:
        yield names
        yield _grid([(Text(), *figures)], [0, *numbers], width)


def _grid(rows: Sequence[tuple[Text, ...]], widths: Sequence[int], width: int) -> Table:
    table = Table.grid(padding=(0, len(GAP)), pad_edge=False)
    for index, each in enumerate(widths):
        table.add_column(width=each, no_wrap=True, justify="right" if index else "left")
    table.add_column(width=max(1, width - sum(widths) - len(widths) * len(GAP)), overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _style(row: Row) -> str:
    return {True: "green", False: "red", None: ""}[row.better]


def _closing(comparison: Comparison) -> Iterator[Text]:
    for doubt in comparison.doubts:
        yield Text(clean(doubt, LONGEST_SENTENCE), style="yellow")
    yield Text(explained(comparison), style="dim")
    if hint := alone(comparison):
        yield Text(hint, style="dim")
