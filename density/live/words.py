"""Words that both views use, and the cleaning of words that come from outside."""

from collections.abc import Mapping

from density.events import Stage
from density.model import Phase
from density.state import RunState

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


def clean(text: str) -> str:
    """One line without anything that a terminal would obey: control, escape, direction and invisible characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


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


def remaining(state: RunState) -> int:
    """How many instances are still there to be removed."""
    return sum(counts[phase] for counts in state.counts.values() for phase in _REMOVABLE)


def listing(counts: Mapping[str, int]) -> str:
    """`16 web, 8 vm`; nothing for zeros."""
    return ", ".join(f"{count:,} {clean(name)}" for name, count in counts.items() if count)
