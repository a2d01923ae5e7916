"""Numbers as reports show them, and sentences made of them.

Each number has a key, so that a page can say of each what it is, and a test can ask the record for it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from density.units import format_count, format_odds, format_value


@dataclass(frozen=True, slots=True)
class Fact:
    """A number: what it is of, its value in base units, and how it is written."""

    key: str
    value: float
    text: str


NOT_MEASURED = "not measured yet"
VAGUE = "not known yet"
"""In place of an interval, where the run could not tell what an instance takes."""

Said = tuple[str | Fact, ...]
"""A sentence: words and numbers in turn."""


def how_found(capacity: Mapping[str, Any]) -> str:
    """What belongs behind a capacity's count: that it is forecast, or that the run ended before anything stopped it."""
    if capacity["kind"] == "forecast":
        low, high = (format_count(capacity[end]) for end in ("low", "high"))
        return f", by a forecast of {low} to {high}" if low != high else ", by a forecast"
    return ", and more was not tried" if capacity["at_least"] else ""


def number(capacity: Mapping[str, Any]) -> str:
    """A capacity's count as people read it: `at least 2`, `2,409 (2,380 to 2,440)`."""
    least = "at least " if capacity["at_least"] else ""
    text = f"{least}{format_count(capacity['count'])}"
    if capacity["low"] != capacity["high"]:
        text += f" ({format_count(capacity['low'])} to {format_count(capacity['high'])})"
    return text


def count(key: str, value: float) -> Fact:
    """A number of whole things."""
    return Fact(key, value, format_count(value))


def fact(key: str, value: float, unit: str) -> Fact:
    """A value in a unit of `density.units.format_value`."""
    return Fact(key, value, format_value(value, unit))


def odds(key: str, value: float) -> Fact:
    """How likely something is, 0 to 1."""
    return Fact(key, value, format_odds(value))


def confidence(verdict: Mapping[str, Any]) -> str:
    """`confidence 97%`, or `measured`, after what the verdict names."""
    if verdict["measured"]:
        return "measured"
    odds = verdict["confidence"]
    return "confidence not known" if odds is None else f"confidence {format_odds(odds)}"


def plain(said: Iterable[str | Fact]) -> str:
    """The sentence as text."""
    return "".join(part if isinstance(part, str) else part.text for part in said)
