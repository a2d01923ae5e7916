"""Bars that can be read without colour, and without Unicode."""

from typing import NamedTuple

from rich.text import Span, Text


class Glyphs(NamedTuple):
    """What bars and marks are drawn with; filled and empty differ in form, not in colour alone."""

    full: str
    empty: str
    mark: str
    about: str
    times: str
    to: str
    ellipsis: str


UNICODE = Glyphs(full="━", empty="─", mark="┃", about="≈", times="×", to="–", ellipsis="…")
ASCII = Glyphs(full="=", empty="-", mark="|", about="~", times="x", to="-", ellipsis="...")

WARM = 0.7
"""Shares from which a bar turns yellow, and HOT red."""
HOT = 0.9


def bar(share: float, width: int, *, glyphs: Glyphs, style: str, mark: float | None = None) -> Text:
    """A bar that is filled to `share` (cut to 0–1), with a mark at another share."""
    filled = _cells(share, width)
    cells = glyphs.full * filled + glyphs.empty * (width - filled)
    if mark is None or not 0 < mark < 1:
        at = width
    else:
        at = min(_cells(mark, width), width - 1)
        cells = cells[:at] + glyphs.mark + cells[at + 1 :]
    spans = [Span(0, filled, style), Span(filled, width, "bright_black"), Span(at, at + 1, "bold default")]
    return Text(cells, spans=[span for span in spans if span.start < min(span.end, width)])


def heat(share: float) -> str:
    """A style from calm to alarming."""
    return "green" if share < WARM else "yellow" if share < HOT else "red"


def _cells(share: float, width: int) -> int:
    return round(min(max(share, 0.0), 1.0) * width)
