"""The live view's lines about the nearest ceilings and the host."""

import math
from collections.abc import Iterator

from rich.text import Text

from density.ceilings.catalog import BY_ID
from density.ceilings.reading import Reading
from density.live.bar import Glyphs, bar, heat
from density.live.head import spread
from density.live.words import INDENT
from density.metrics.current import current_readings
from density.state import RunState
from density.text import one_line
from density.units import format_bytes, format_count, format_value

CEILINGS = 3
_LABEL, _NARROW_LABEL = 24, 17
_USE = 23
_AT = 8
_WIDE = 76
"""Columns from which there is room for whole names beside a bar that says something."""
_TITLE = 12


def ceilings(state: RunState, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """Use, limit and forecast count of each ceiling that matters, with its reserve marked."""
    label_width = _LABEL if width >= _WIDE else _NARROW_LABEL
    size = max(width - len(INDENT) - label_width - _USE - _AT - 3, 5)
    for number, (reading, count) in enumerate(nearest_readings(state)):
        if number == 0:
            head = Text("Nearest ceilings", "bold")
            yield spread(head, Text(f"{'use of limit':>{_USE}} {'at count':>{_AT}}", "bright_black"), width)
        ceiling = BY_ID[reading.ceiling]
        label = f"{reading.ceiling} {one_line(reading.subject)}"
        use = f"{format_value(reading.used, ceiling.unit)} of {format_value(reading.limit, ceiling.unit)}"
        at = f"{glyphs.about}{format_count(max(count, 0))}" if math.isfinite(count) else "-"
        reserve = 1 - reading.reserve / reading.limit if reading.reserve and reading.limit else None
        share = reading.ratio
        yield Text.assemble(
            f"{INDENT}{label:<{label_width}.{label_width}} ",
            bar(share, size, glyphs=glyphs, style=heat(share), mark=reserve),
            f" {use:>{_USE}} ",
            (f"{at:>{_AT}}", "bold"),
        )


def nearest_readings(state: RunState) -> list[tuple[Reading, float]]:
    """The ceilings that a person should watch, each with its forecast count (infinite: none).

    Those of the forecast come first, nearest first; then, by use, those whose use does not grow with the count.
    """
    now = {reading.key: reading for reading in current_readings(state)}
    found: list[tuple[Reading, float]] = []
    for ceiling in state.forecast:
        key = (ceiling.ceiling, ceiling.subject)
        if math.isfinite(ceiling.count) and key[0] in BY_ID:
            then = Reading(*key, ceiling.used, ceiling.limit, ceiling.reserve)
            found.append((now.pop(key, then), ceiling.count))
    found += [(reading, math.inf) for reading in sorted(now.values(), key=lambda reading: -reading.ratio)]
    return found[:CEILINGS]


def host(state: RunState, width: int) -> Iterator[Text]:
    """What the last sample says of the host, and what its processes wait for."""
    values = state.host
    parts: list[tuple[str, str]] = []
    if "cpu.busy_ratio" in values:
        parts.append(("cpu", f"{values['cpu.busy_ratio']:.0%}"))
    if "memory.available_bytes" in values and "memory.total_bytes" in values:
        free, total = format_bytes(values["memory.available_bytes"]), format_bytes(values["memory.total_bytes"])
        parts.append(("memory", f"{free} free of {total}"))
    if "tasks.count" in values:
        parts.append(("tasks", format_count(values["tasks.count"])))
    if "load.one" in values:
        parts.append(("load", f"{values['load.one']:.1f}"))
    if parts:
        yield _facts("Host", parts, width)
    waits = [
        (resource, f"{values[name]:.1%}")
        for resource in ("cpu", "memory", "io")
        if (name := f"pressure.{resource}.some_ratio") in values
    ]
    if waits:
        yield _facts("Waiting for", waits, width)


def _facts(title: str, facts: list[tuple[str, str]], width: int) -> Text:
    """As many of the facts as fit."""
    line = Text(f"{title:<{_TITLE}}", "bold")
    for number, (name, value) in enumerate(facts):
        gap = "  " if number else ""
        if number and line.cell_len + len(f"{gap}{name} {value}") > width:
            break
        line.append(f"{gap}{name} ", "not bold bright_black")
        line.append(value, "not bold default")
    return line
