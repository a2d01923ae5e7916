"""A plan on a terminal, on one screen: the answer, the hosts and how full they are, then what it rests on."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from density.capacity.plan.filling import Filled
from density.capacity.plan.plan import Plan
from density.capacity.plan.resources import name_of
from density.report.plan.basis_words import rests_on
from density.report.plan.beyond_words import beyond
from density.report.plan.room_words import raising, room
from density.report.plan.words import (
    LEGEND,
    binding,
    bought,
    columns,
    counts,
    interval,
    proof,
    title,
    type_of,
    uses,
)

SHOWN = 0.05
"""Resources of which less of the room is taken share a line."""
FEW, MANY = 1, 8


def print_plan(plan: Plan, console: Console) -> None:
    """Write all of it that a person needs; JSON has every number."""
    console.print(Text(title(plan), style="bold"))
    console.print(
        _labelled([("hosts", bought(plan, plan.best)), ("interval", interval(plan)), ("choice", proof(plan))])
    )
    for group in plan.groups:
        console.print()
        console.print(Text(type_of(group), style="bold").append(f"  {binding(group)}", style="not bold"))
        console.print(_table(plan, group))
        if small := _small(group):
            console.print(Text(small, style="dim"))
    console.print(Text(LEGEND, style="dim"))
    console.print()
    console.print(_labelled([("room", room(plan)), *_raises(plan)]))
    _print_list("beyond what was measured", beyond(plan), console, style="yellow")
    _print_list("rests on", rests_on(plan), console, style="dim")


def shown(group: Filled) -> tuple[int, int]:
    """How many of the fills, the fullest first, have a line of their own; and how many there are."""
    large = sum(fill.share >= SHOWN for fill in group.fills)
    return min(MANY, max(FEW, large)), len(group.fills)


def _table(plan: Plan, group: Filled) -> Table:
    headings = ("on the fullest host", *columns(plan), "limit", "reserve", "of the room")
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(Text(heading, style="dim"), justify="right" if index else "left", no_wrap=bool(index))
    table.show_header = True
    for row in counts(plan, group):
        table.add_row(*map(Text, row))
    for index, fill in enumerate(group.fills[: shown(group)[0]]):
        style = "bold" if not index and group.binds else ""
        table.add_row(*map(Text, uses(plan, fill)), style=style)
    return table


def _small(group: Filled) -> str:
    first, count = shown(group)
    rest = group.fills[first:]
    if not rest:
        return ""
    names = ", ".join(name_of(fill.key) for fill in rest[:3])
    more = f" and {count - first - 3} more" if count - first > 3 else ""
    return f"{names}{more}: at most {rest[0].share:.1%} of the room"


def _raises(plan: Plan) -> list[tuple[str, str]]:
    labels = ["raise first", *["then"] * len(plan.raises)]
    return [*zip(labels, raising(plan), strict=False)]


def _labelled(rows: Iterable[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(style="dim", no_wrap=True, min_width=11)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, Text(text))
    return grid


def _print_list(heading: str, sentences: Iterable[str], console: Console, *, style: str) -> None:
    found: Sequence[str] = list(sentences)
    if not found:
        return
    console.print()
    console.print(Text(heading, style="bold"))
    grid = Table.grid(padding=(0, 1), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for sentence in found:
        grid.add_row(Text("-", style=style), Text(sentence, style=style))
    console.print(grid)
