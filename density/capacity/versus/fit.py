"""How many of a subject fit, and what ends it first; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import floor, inf

from density.capacity.capacities import capacities, failed_by_themselves, is_reached
from density.capacity.versus.memory import TOTAL, Cost
from density.ceilings.catalog import readings
from density.ceilings.reading import Bounds
from density.state import RunState

UNKNOWN = "the ramp was too short to tell"


@dataclass(frozen=True, slots=True)
class Fit:
    """A count with its 95 % interval, which has no upper end where the count is a lower bound.

    Attributes:
        first: the ceiling that ends it first.
        words: how the count is known.
    """

    count: float
    low: float
    high: float
    first: str
    words: str


def how_many(state: RunState, bounds: Bounds, memory: Mapping[str, Cost]) -> Fit:
    """The run's hard capacity, or what its memory allows where the forecast could not see an end of that."""
    hard = capacities(state, bounds).hard
    found = Fit(hard.count, hard.low, hard.high, _first(state), hard.kind)
    if is_reached(state):
        return found
    if state.outcome and state.outcome.outcome == "ceiling" and hard.kind == "observed":
        objective = f"{state.outcome.ceiling} {state.outcome.subject}".rstrip()
        why = "failures that no ceiling explains" if failed_by_themselves(state) else "an objective"
        return replace(found, high=inf, first=objective, words=f"a lower bound: {why} ended it")
    by_memory = _by_own_memory(state, bounds, memory)
    if by_memory and (hard.kind == "observed" or by_memory.count < found.count):
        return by_memory
    return (
        found
        if hard.kind == "forecast"
        else replace(found, high=inf, first=UNKNOWN, words="a lower bound: as many as were tried")
    )


def _by_own_memory(state: RunState, bounds: Bounds, memory: Mapping[str, Cost]) -> Fit | None:
    """As many as the free memory holds of what each is charged by its own cgroup.

    Only where the host's free memory did not tell what one takes, as on a busy host: the forecast then knows of no end
    of the memory. The engine's part is not in it, so this is the most that can be.
    """
    own, settled = memory["instance"], state.settled[-1]
    room = next((each.room for each in readings(settled.values, bounds) if each.key == TOTAL), 0.0)
    if memory["total"].known or not own.known or room <= 0:
        return None
    alive = settled.count
    most, low, high = (alive + floor(room / each) for each in (own.value, own.high, own.low))
    return Fit(most, low, high, TOTAL[0], "forecast, by the memory of its own cgroup alone")


def _first(state: RunState) -> str:
    """What ended the ramp where a ceiling did, else the nearest by the forecast."""
    if state.outcome and state.outcome.ceiling and is_reached(state):
        return f"{state.outcome.ceiling} {state.outcome.subject}".rstrip()
    if state.forecast:
        return f"{state.forecast[0].ceiling} {state.forecast[0].subject}".rstrip()
    return "nothing in sight"
