"""The table of ceilings that `density doctor` and `density run --dry-run` share."""

import math
from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from density.ceilings.catalog import BY_ID
from density.events import CeilingForecast
from density.units import format_count, format_value

Key = tuple[str, str]
UNLIMITED = 1e15
"""Kernels write numbers near 2^63 where there is no limit."""
_MILLIONS = 1e8


def ceiling_name(ceiling: str, subject: str) -> str:
    """`files.process dockerd`."""
    return f"{ceiling} {subject}".rstrip()


def format_limit(value: float, ceiling: str) -> str:
    """A use or limit in the ceiling's unit, short."""
    unit = BY_ID[ceiling].unit
    if value >= UNLIMITED:
        return "unlimited"
    return format_value(value, unit) if unit == "bytes" else _format_large(value, format_value(value, unit))


def ceiling_table(
    found: Iterable[CeilingForecast],
    *,
    each: Mapping[Key, str] | None = None,
    reached: Mapping[Key, str] | None = None,
    wanted: float = 0.0,
) -> Table:
    """One line a ceiling; those that are reached before `wanted` stand out.

    Args:
        each: what one more instance takes, in words; None: without that column.
        reached: what stands for the count where the number alone does not say it.
    """
    headings = ("ceiling", "used", "limit", "reserve", *(("each",) if each is not None else ()), "reached at")
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for heading in headings:
        first = heading == headings[0]
        table.add_column(
            Text(heading, style="dim"),
            justify="left" if first else "right",
            no_wrap=not first,
            overflow="fold" if first else "ellipsis",  # a number that is cut has to show it
            min_width=22 if first else None,
        )
    table.show_header = True
    for index, ceiling in enumerate(found):
        key = (ceiling.ceiling, ceiling.subject)
        cells = [
            ceiling_name(*key),
            *(format_limit(value, ceiling.ceiling) for value in (ceiling.used, ceiling.limit)),
            format_limit(ceiling.reserve, ceiling.ceiling) if ceiling.reserve else "-",
            *([each.get(key, "-")] if each is not None else []),
            (reached or {}).get(key) or format_reached(ceiling.count),
        ]
        table.add_row(*map(Text, cells), style=_style(ceiling.count, index, wanted))
    return table


def format_reached(count: float) -> str:
    """The last count that fits, or `never`."""
    if not math.isfinite(count):
        return "never"
    return _format_large(count, format_count(math.floor(max(0.0, count))))


def _format_large(value: float, text: str) -> str:
    return f"{value / 1e6:,.0f}M" if value >= _MILLIONS else text


def _style(count: float, index: int, wanted: float) -> str:
    if not math.isfinite(count):
        return "dim"
    if count < wanted or count < 1:
        return "bold red"
    return "bold" if index == 0 else ""
