"""What the live view shows, as lines of text: a pure function of the state.

Names and messages come from outside: they go through `one_line` and into `Text` as they are, never through markup.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.text import Text

from density.live.bar import Glyphs
from density.live.ceilings import ceilings, host
from density.live.head import count, happening, title
from density.live.words import sentences
from density.live.workloads import failures, workloads
from density.profile.spec import Ramp
from density.state import RunState


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of everything is shown.

    Attributes:
        workloads, failures, warnings: the most lines of each.
        apart: whether a line is left empty before each section; titled: before one with a title of its own as well.
    """

    workloads: int
    failures: int
    warnings: int
    apart: bool
    titled: bool


_ROOMS = (
    _Room(6, 3, 2, apart=True, titled=True),
    _Room(6, 3, 2, apart=True, titled=False),
    _Room(4, 1, 1, apart=True, titled=False),
    _Room(4, 1, 1, apart=False, titled=False),
)
"""From the roomiest; the first one that fits into the terminal's height is taken."""


def frame(
    state: RunState, now: float, *, width: int, height: int, glyphs: Glyphs, ramp: Ramp | None = None
) -> list[Text]:
    """The view's lines, none wider than `width` cells, at most `height` of them: what matters least is left out first.

    Args:
        state: the run's.
        now: seconds of the run's clock.
        width, height: of the terminal, in cells.
        glyphs: what the terminal can show.
        ramp: of the run's profile, if it is known: how many waves to expect, and how much time.
    """
    for room in _ROOMS:
        lines = list(_lines(state, now, width, glyphs, ramp, room))
        if len(lines) <= height:
            break
    lines = lines[: max(height, 1)]
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis" if glyphs.ellipsis == "…" else "crop")
    return lines


def _lines(state: RunState, now: float, width: int, glyphs: Glyphs, ramp: Ramp | None, room: _Room) -> Iterator[Text]:
    yield title(state, now, width)
    yield from happening(state, ramp, width, glyphs)
    yield from _section("", count(state, width, glyphs), room)
    yield from _section("", workloads(state, width, room.workloads), room)
    if state.torn_down is None:  # of an empty host nobody wants to know how far away the ceilings are
        yield from _section("", ceilings(state, width, glyphs), room)
        yield from _section("", host(state, width), room)
    yield from _section("Last failures", failures(state, width, glyphs, room.failures), room)
    warnings = state.warnings[-room.warnings :]
    yield from _section("Warnings", sentences(warnings, width, glyphs, "yellow"), room)


def _section(title: str, lines: Iterable[Text], room: _Room) -> Iterator[Text]:
    found = list(lines)
    if found:
        if room.titled if title else room.apart:
            yield Text()
        if title:
            yield Text(title, "bold")
        yield from found
