"""Bars that can be read without colour, and without Unicode."""

from typing import NamedTuple

from rich.text import Text


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
    text = Text(glyphs.full * filled, style)
    text.append(glyphs.empty * (width - filled), "bright_black")
    if mark is not None and 0 < mark < 1:
        at = min(_cells(mark, width), width - 1)
        text = Text.assemble(text[:at], (glyphs.mark, "bold"), text[at + 1 :])
    return text


def heat(share: float) -> str:
    """A style from calm to alarming."""
    return "green" if share < WARM else "yellow" if share < HOT else "red"


def _cells(share: float, width: int) -> int:
    return round(min(max(share, 0.0), 1.0) * width)
