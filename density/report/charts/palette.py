"""Colours by what they mean. Each is one for light and one for dark; eyes that confuse red and green tell them apart.

Charts are drawn in the light ones, which are all different, so that a picture in a page can be given the page's own.
Hues after Okabe and Ito (2008), with the lightness that lines need on each background.
"""

from collections.abc import Mapping
from dataclasses import dataclass

INK = "#1b2027"
MUTED = "#5c6672"
GRID = "#dfe3e8"
SURFACE = "#fefefe"
BAND = "#eef1f5"
BLUE = "#0069a8"
ORANGE = "#c97800"
GREEN = "#007a57"
RED = "#cf4a0a"
PURPLE = "#a5508a"
SLATE = "#8792a0"
HEAT = ("#d3e6f5", "#a5cbe8", "#6fabd6", "#3c86ba", "#17619a", "#0b3e6e")
"""From quick to slow."""
SERIES = (BLUE, ORANGE, GREEN, PURPLE)


@dataclass(frozen=True, slots=True)
class Shade:
    """A colour in light, and in dark."""

    light: str
    dark: str


SHADES: Mapping[str, Shade] = {
    "ink": Shade(INK, "#e7ebf0"),
    "muted": Shade(MUTED, "#9aa5b3"),
    "grid": Shade(GRID, "#2b333d"),
    "surface": Shade(SURFACE, "#12161c"),
    "band": Shade(BAND, "#1c232c"),
    "blue": Shade(BLUE, "#5ab1f2"),
    "orange": Shade(ORANGE, "#f2ac45"),
    "green": Shade(GREEN, "#35c79a"),
    "red": Shade(RED, "#ff8450"),
    "purple": Shade(PURPLE, "#e194c6"),
    "slate": Shade(SLATE, "#6d7886"),
    **{f"heat{n}": Shade(light, dark) for n, (light, dark) in enumerate(zip(
        HEAT, ("#1d3a55", "#25557f", "#2f77ad", "#4c9ed6", "#86c5ee", "#cfe9fb"), strict=True))},
}  # fmt: skip
"""The names of the page's CSS variables -> their colours."""
