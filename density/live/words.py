"""Words that both views use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap

from rich.text import Text

from density.events import Stage
from density.live.bar import Glyphs
from density.model import Phase
from density.state import RunState
from density.text import one_line

INDENT = "  "
STAGES: Mapping[Stage, str] = {
    "preflight": "Preparing engines, images and guests",
    "calibrate": "Calibrating each workload alone",
    "ramp": "Ramping up",
    "search": "Searching for the exact count",
    "hold": "Holding, to see that everything stays alive",
    "teardown": "Removing everything",
    "done": "Done",
}
_STARTING = (Phase.REQUESTED, Phase.CREATED, Phase.STARTED)
_REMOVABLE = (*_STARTING, Phase.READY, Phase.STOPPING)


def shorten(text: str, width: int, ellipsis: str) -> str:
    """Cut out of the middle: an engine's message says where at its start and why at its end."""
    if len(text) <= width:
        return text
    room = max(width - len(ellipsis), 0)
    head = room // 3
    return f"{text[:head].rstrip()}{ellipsis}{text[len(text) - room + head :].lstrip()}"


def starting(counts: Mapping[Phase, int]) -> int:
    """How many of a workload are on their way to ready."""
    return sum(counts[phase] for phase in _STARTING)


def to_remove(state: RunState) -> int:
    """How many instances are still there to be removed."""
    return sum(counts[phase] for counts in state.counts.values() for phase in _REMOVABLE)


def listing(counts: Mapping[str, int]) -> str:
    """`16 web, 8 vm`; nothing for zeros."""
    return ", ".join(f"{count:,} {one_line(name)}" for name, count in counts.items() if count)


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def about(seconds: float) -> str:
    """A time that is only roughly known, no finer than it is: `a few seconds`, `about 40 s`, `about 3 min`."""
    if seconds < 7.5:
        return "a few seconds"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s"
    minutes = seconds / 60
    if minutes < 5:
        return f"about {round(2 * minutes) / 2:g} min"
    if minutes < 90:
        return f"about {round(minutes)} min"
    hours, minute = divmod(10 * round(minutes / 10), 60)
    return f"about {hours} h {minute} min" if minute else f"about {hours} h"


def sentences(texts: Iterable[str], width: int, glyphs: Glyphs, style: str) -> Iterator[Text]:
    """Each on two lines at most."""
    for text in texts:
        for line in wrap(one_line(text), width - len(INDENT), max_lines=2, placeholder=glyphs.ellipsis):
            yield Text.assemble(INDENT, (line, style))
