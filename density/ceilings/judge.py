"""The verdict of a run: which ceiling bound, the evidence, the fix, and what binds next."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from density.ceilings.calibration import CERTAIN
from density.ceilings.catalog import BY_ID, readings
from density.ceilings.errors import heard
from density.ceilings.reading import Bounds, Reading
from density.ceilings.verdict import (
    NOBODY,
    UNLIKELY,
    Costs,
    Key,
    Suspect,
    Typical,
    highest_readings,
    stood,
    suspects,
    unexpected,
)
from density.events import CeilingForecast, Stopped
from density.evidence import Judged
from density.model import Failure
from density.state import RunState, WaveSeen
from density.text import last_line
from density.units import format_count, format_odds

NEXT = 3
WORDS = 2
"""So many different last lines of instances are told."""
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stopped the ramp.

    Attributes:
        ceiling: id of the catalogue.
        used, limit: the highest use of the last wave, in the ceiling's unit; `used` is None where it is not known.
        confidence: odds that it was this one, 0 to 1; None where nothing says how good they would be.
        measured: it was read, so it needs no odds: an objective that was missed, a reserve that was crossed.
        evidence: sentences with numbers.
        next: the ceilings that would bind once this one is out of the way, nearest first.
    """

    ceiling: str
    subject: str
    resource: str
    unit: str
    used: float | None
    limit: float
    confidence: float | None
    measured: bool
    evidence: tuple[str, ...]
    fix: str
    next: tuple[CeilingForecast, ...]


def judge(state: RunState, bounds: Bounds, costs: Costs, typical: Typical = unexpected) -> Verdict | None:
    """The verdict from the state at the end of a run; None where no ceiling is to blame. Arguments as of `suspects`."""
    outcome = state.outcome
    if outcome is None or not outcome.ceiling:
        return None
    ceiling, key = BY_ID[outcome.ceiling], (outcome.ceiling, outcome.subject)
    reading = _reading(state, bounds, key)
    wave = state.wave_seen()
    found = suspects(state, bounds, costs, typical)
    named = next((suspect for suspect in found if suspect.key == key and outcome.by_failures), None)
    others = [suspect for suspect in found if suspect.key != key and suspect.odds > UNLIKELY]
    failed = outcome.by_failures or _is_of_failures(key)
    measured = _is_measured(outcome, reading)
    return Verdict(
        ceiling=ceiling.id,
        subject=outcome.subject,
        resource=ceiling.resource,
        unit=ceiling.unit,
        used=None if math.isnan(reading.used) else reading.used,
        limit=reading.limit,
        confidence=named.odds if named else None if measured else _confidence(state, reading, found),
        measured=measured,
        evidence=(
            outcome.reason,
            *(_words(wave) if failed else ()),
            *_evidence(state, bounds, named, reading),
            *(_also(others) if failed else ()),
        ),
        fix=ceiling.fix.of(outcome.subject),
        next=tuple(ahead(state, key)[:NEXT]),
    )


def _reading(state: RunState, bounds: Bounds, key: Key) -> Reading:
    """The use that bound: of an objective that of the fewest instances which missed it, else the wave's highest."""
    if missed := _missed(state, bounds, key):
        return missed[1]
    highest = highest_readings(state.wave_seen(), bounds)
    if key == NOBODY:
        of_each = (reading for reading in highest.values() if reading.ceiling == key[0])
        worst = max(of_each, key=lambda reading: reading.ratio, default=Reading(*key, 0.0, 0.0))
        return Reading(*key, worst.used, worst.limit)
    return highest.get(key, Reading(*key, 0.0, 0.0))


def _missed(state: RunState, bounds: Bounds, key: Key) -> tuple[int, Reading] | None:
    """The fewest instances at rest with which an objective was missed, and what was measured of it then."""
    if not BY_ID[key[0]].soft:
        return None
    found = [
        (point.count, reading)
        for point in state.settled
        for reading in readings(point.values, bounds)
        if reading.key == key and reading.state is Judged.VIOLATED
    ]
    return min(found, key=lambda pair: pair[0], default=None)


def _evidence(state: RunState, bounds: Bounds, named: Suspect | None, reading: Reading) -> Iterator[str]:
    missed = _missed(state, bounds, reading.key)
    if named:
        yield from named.evidence
    elif missed:
        yield f"{stood(reading)} with {format_count(missed[0])} ready, the fewest that missed it"
    elif reading.limit and not math.isnan(reading.used) and (reading.key != NOBODY or reading.room < 0):
        yield stood(reading)


def _words(wave: WaveSeen) -> Iterator[str]:
    """What the instances printed last, the most frequent first."""
    said = Counter(filter(None, (_last_words(each.failure) for each in wave.ended)))
    for words, count in said.most_common(WORDS):
        yield f"{count} of {len(wave.ended)} {words}"


def _last_words(failure: Failure) -> str:
    """`printed last: "Too many open files" (exit code 1)`; empty where nothing was printed."""
    known = heard(failure.evidence)
    line = known.line if known else last_line(failure.evidence)
    how = failure.signal or (f"exit code {failure.exit_code}" if failure.exit_code is not None else "")
    return f'printed last: "{line[:LONGEST]}"{f" ({how})" if how else ""}' if line else ""


def _also(others: Sequence[Suspect]) -> Iterator[str]:
    for suspect in others:
        yield f"also possible, {format_odds(suspect.odds)}: {'; '.join(suspect.evidence)}"


def _is_of_failures(key: Key) -> bool:
    """Whether nothing but failed launches is named: what the suspects leave, or the objective that they missed."""
    return key[0] == NOBODY[0]


def _is_measured(outcome: Stopped, reading: Reading) -> bool:
    """Whether what ended the ramp was read: an objective that was missed, a reserve that was crossed.

    That too many launches failed was counted too, but not why, so it has odds like any other cause of failures.
    """
    if outcome.by_failures or _is_of_failures(reading.key):
        return False
    return BY_ID[reading.ceiling].soft or reading.room < 0


def _confidence(state: RunState, reading: Reading, found: Sequence[Suspect]) -> float | None:
    """Of a ceiling that is no suspect and was not measured.

    Failures without one are nobody's with the odds that the suspects leave. A forecast is as good as its interval; one
    by typical costs has none, and neither has room that is less than what the host moves by itself, so nothing says how
    good they are. A launch that fails by the way says nothing of either.
    """
    if _is_of_failures(reading.key):
        return min(CERTAIN, 1 - sum(suspect.odds for suspect in found))
    mine = next((ceiling for ceiling in state.forecast if (ceiling.ceiling, ceiling.subject) == reading.key), None)
    failed = state.outcome is not None and state.outcome.by_failures
    if failed or mine is None or not _is_known(mine) or mine.typical:
        return None
    odds = (_sooner(other, mine) for other in state.forecast if (other.ceiling, other.subject) != reading.key)
    return min(CERTAIN, math.prod(1 - share for share in odds))


def _sooner(other: CeilingForecast, mine: CeilingForecast) -> float:
    """Odds that the other ceiling lies below this one, both being normal around their counts."""
    if not _is_known(other):
        return 0.0
    spread = math.hypot(other.high - other.low, mine.high - mine.low) / (2 * 1.96)
    if spread == 0:
        return float(other.count < mine.count)
    return 0.5 * math.erfc((other.count - mine.count) / spread / math.sqrt(2))


def _is_known(ceiling: CeilingForecast) -> bool:
    return all(map(math.isfinite, (ceiling.count, ceiling.low, ceiling.high)))


def ahead(state: RunState, key: Key | None) -> list[CeilingForecast]:
    """The ceilings that bind once this one is out of the way, nearest first.

    A count below that of what ran was wrong, or is another's fault: it lies behind, not ahead.
    """
    return [
        ceiling
        for ceiling in state.forecast
        if (ceiling.ceiling, ceiling.subject) != key
        and math.isfinite(ceiling.count)
        and math.floor(ceiling.count) >= state.peak.count
    ]
