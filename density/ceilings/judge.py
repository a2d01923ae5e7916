"""The verdict of a run: which ceiling bound, the evidence, the fix, and what binds next."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.ceilings.verdict import suspects
from density.events import CeilingForecast
from density.state import RunState
from density.units import format_value

NEXT = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stopped the ramp.

    Attributes:
        ceiling: id of the catalogue; empty where no ceiling did.
        used, limit: at the end, in the ceiling's unit.
        confidence: 0 to 1.
        evidence: sentences with numbers.
        next: the ceilings that would bind once this one is out of the way, nearest first.
    """

    ceiling: str
    subject: str
    resource: str
    unit: str
    used: float
    limit: float
    confidence: float
    evidence: tuple[str, ...]
    fix: str
    next: tuple[CeilingForecast, ...]


def judge(state: RunState, bounds: Bounds) -> Verdict | None:
    """The verdict from the state at the end of a run; None where no ceiling is to blame."""
    outcome = state.outcome
    if outcome is None or not outcome.ceiling:
        return None
    ceiling = BY_ID[outcome.ceiling]
    key = (outcome.ceiling, outcome.subject)
    reading = _reading(state, bounds, key)
    found = next((suspect for suspect in suspects(state, bounds) if (suspect.ceiling, suspect.subject) == key), None)
    evidence = [outcome.reason, *(found.evidence if found else _stood(reading))]
    return Verdict(
        ceiling=ceiling.id,
        subject=outcome.subject,
        resource=ceiling.resource,
        unit=ceiling.unit,
        used=reading.used,
        limit=reading.limit,
        confidence=found.odds if found else _confidence(state, key),
        evidence=tuple(evidence),
        fix=ceiling.fix.text,
        next=tuple(_next(state, key)),
    )


def _reading(state: RunState, bounds: Bounds, key: tuple[str, str]) -> Reading:
    """The highest use of this ceiling that was read lately."""
    found = [
        reading
        for values in (*(sample.values for sample in state.samples_in_wave), {})
        for reading in readings({**state.values(), **values}, bounds)
        if reading.key == key
    ]
    return max(found, key=lambda reading: reading.used, default=Reading(*key, 0.0, 0.0))


def _stood(reading: Reading) -> Iterator[str]:
    unit = BY_ID[reading.ceiling].unit
    used, limit = format_value(reading.used, unit), format_value(reading.limit, unit)
    yield f"{reading.ceiling} stood at {used} of {limit} ({reading.ratio:.1%})"


def _confidence(state: RunState, key: tuple[str, str]) -> float:
    """Where nothing failed: an objective was measured, so it is certain; a forecast is as good as its interval."""
    if BY_ID[key[0]].soft:
        return 1.0
    near = [ceiling for ceiling in state.forecast if (ceiling.ceiling, ceiling.subject) == key]
    others = [ceiling for ceiling in state.forecast if (ceiling.ceiling, ceiling.subject) != key]
    if not near:
        return 1.0
    rivals = [ceiling for ceiling in others if ceiling.low <= near[0].high]
    return 1.0 / (1 + len(rivals))


def _next(state: RunState, key: tuple[str, str]) -> Iterator[CeilingForecast]:
    others = (ceiling for ceiling in state.forecast if (ceiling.ceiling, ceiling.subject) != key)
    finite = [ceiling for ceiling in others if math.isfinite(ceiling.count)]
    yield from finite[:NEXT]
