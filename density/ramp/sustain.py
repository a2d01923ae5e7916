"""Whether a hold was sustained, and how many instances to hold next where it was not."""

import math
from collections.abc import Sequence

from density.ceilings.catalog import readings
from density.ceilings.catalog.objectives import OBJECTIVES, TESTER_LAG
from density.ceilings.reading import Bounds, Reading
from density.events import Held
from density.evidence import Judged, probe_measures
from density.sustained import HoldSeries

HOLDS = 5
"""Holds of one run at most."""
PARTS = 3
"""A hold is judged after each of so many parts: what is wrong for a third of it is wrong, whatever its mean is."""
LEAST_SAMPLES = 10
"""A part with fewer samples is judged with the whole hold."""
OBJECTIVE_STEP = 0.05
RESERVE_STEP = 0.01
"""The share by which the first violated objective, or the first crossed reserve, lowers the count; doubled each time.
After a crossed reserve the safety stop has already removed what was too much."""


def violated(series: HoldSeries, bounds: Bounds, *, since: HoldSeries | None = None, look: int = 1) -> list[Reading]:
    """The objectives that a hold, or the part of it since a mark, violates.

    Host values and lag by their means, round trips by those of the whole hold so far, each workload by itself.

    Args:
        look: how often the hold is looked at, with this time; each look has to be surer than the one before.
    """
    if since is not None and series.samples - since.samples < LEAST_SAMPLES:
        return []
    values = series.means(since)
    found = [each for each in readings(values, bounds, OBJECTIVES) if each.room < 0]
    limit = bounds.objectives.probe_p99_seconds
    slow = [
        reading
        for workload, probes in series.probes.items()
        for reading in readings(probe_measures(workload, probes.seconds, limit, looks=look), bounds, OBJECTIVES)
        if reading.state is Judged.VIOLATED
    ]
    return [*found, *sorted(slow, key=lambda reading: -reading.used)[:1]]


def next_count(failed: Sequence[Held], alive: int) -> int:
    """How many instances to hold after these holds, of which the last one failed; 0: there is no point.

    What died by itself is gone already: the first time the survivors are held. A host that stood still, so that density
    itself was late, says nothing about the count, so the same one is held again; likewise a hold that density did not
    watch all the time, by those that are left.
    """
    held = failed[-1]
    if held.unwatched:
        return alive
    count = sum(held.counts_before.values())
    earlier = [each for each in failed[:-1] if set(each.ceilings) != {TESTER_LAG} and not each.unwatched]
    if set(held.ceilings) == {TESTER_LAG} and not held.died:
        return alive
    if not held.ceilings and not earlier:
        return alive
    step = RESERVE_STEP if held.crossed and not held.died else OBJECTIVE_STEP
    lower = math.floor(count * (1 - min(0.5, step * 2.0 ** len(earlier))))
    return max(0, min(alive, lower, count - 1))
