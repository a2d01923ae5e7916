"""Ceilings, and what the run found out: forecasts, capacities, footprints, the verdict."""

import math
from collections.abc import Callable, Iterator

from density.capacity.capacities import Capacity
from density.ceilings.catalog import BY_ID
from density.ceilings.reading import Reading
from density.events import CeilingForecast
from density.evidence import Judged
from density.metrics.findings import Footprint
from density.metrics.table.entry import INFO, Metric, Read, Row, Seen


def _known(seen: Seen) -> Iterator[Row]:
    for reading in seen.readings:
        entry = BY_ID[reading.ceiling]
        kind = "lethal" if entry.is_lethal(reading.subject) else "soft" if entry.soft else "hard"
        yield Row((*reading.key, entry.resource, entry.unit, kind), 1)


def _ceilings(value: Callable[[Reading], float]) -> Read:
    return lambda seen: (Row(reading.key, value(reading)) for reading in seen.readings)


def _forecast(value: Callable[[CeilingForecast], float], *, interval: bool = False) -> Read:
    """`interval`: of what was measured alone."""

    def read(seen: Seen) -> Iterator[Row]:
        for ceiling in seen.state.forecast:
            if math.isfinite(found := value(ceiling)) and not (interval and ceiling.typical):
                yield Row((ceiling.ceiling, ceiling.subject), max(0.0, found))

    return read


def _capacity(value: Callable[[Capacity], float]) -> Read:
    return lambda seen: (Row((kind,), value(found)) for kind, found in seen.findings.capacity.items())


def _footprint(value: Callable[[Footprint], float]) -> Read:
    def read(seen: Seen) -> Iterator[Row]:
        for key, footprint in seen.findings.footprints.items():
            if math.isfinite(found := value(footprint)):
                yield Row(key, found)

    return read


def _verdict(seen: Seen) -> Iterator[Row]:
    if verdict := seen.findings.verdict:
        yield Row((verdict.ceiling, verdict.subject, verdict.resource, verdict.fix), 1)


def _confidence(seen: Seen) -> Iterator[Row]:
    if (verdict := seen.findings.verdict) and verdict.confidence is not None:
        yield Row((verdict.ceiling, verdict.subject), verdict.confidence)


def _objectives(seen: Seen) -> Iterator[Row]:
    for reading in seen.readings:
        if BY_ID[reading.ceiling].soft:
            yield Row(reading.key, {Judged.VIOLATED: -1, Judged.MET: 1}.get(reading.state, 0))


_CEILING = ("ceiling", "subject")
_COST = ("workload", "resource")

# fmt: off
CEILINGS: tuple[Metric, ...] = (
    Metric("density_ceiling_info", "gauge", INFO, (*_CEILING, "resource", "unit", "kind"),
           "What a ceiling is of, and for this subject lethal, hard or soft; always 1.", _known),
    Metric("density_ceiling_used_ratio", "gauge", "ratio", _CEILING,
           "Use of a ceiling as a share of its limit.", _ceilings(lambda reading: reading.ratio)),
    Metric("density_ceiling_reserve_ratio", "gauge", "ratio", _CEILING,
           "Share of a ceiling's limit that the run keeps free.",
           _ceilings(lambda reading: reading.reserve / reading.limit if reading.limit else 0.0)),
    Metric("density_ceiling_limit", "gauge", "of the ceiling", _CEILING,
           "Limit of a ceiling, in the ceiling's own unit.", _ceilings(lambda reading: reading.limit)),
    Metric("density_objective_state", "gauge", "state", _CEILING,
           "Whether an objective is met: 1 met, 0 not yet known, -1 violated; subject: the workload.", _objectives),
    Metric("density_ceiling_forecast_instances", "gauge", "instances", _CEILING,
           "Count at which the ceiling would be reached; by typical costs until measured; absent where it is never.",
           _forecast(lambda ceiling: ceiling.count)),
    Metric("density_ceiling_forecast_low_instances", "gauge", "instances", _CEILING,
           "Lower end of the forecast's 95 % interval; absent where it comes from typical costs.",
           _forecast(lambda ceiling: ceiling.low, interval=True)),
    Metric("density_ceiling_forecast_high_instances", "gauge", "instances", _CEILING,
           "Upper end of the forecast's 95 % interval; absent where it has none, or comes from typical costs.",
           _forecast(lambda ceiling: ceiling.high, interval=True)),
    Metric("density_capacity_instances", "gauge", "instances", ("kind",),
           "Capacity: hard (the most that ran, or would), slo (every objective kept), recommended (after the hold).",
           _capacity(lambda capacity: capacity.count)),
    Metric("density_capacity_low_instances", "gauge", "instances", ("kind",),
           "Lower end of the capacity's 95 % interval; the capacity itself where it was observed.",
           _capacity(lambda capacity: capacity.low)),
    Metric("density_capacity_high_instances", "gauge", "instances", ("kind",),
           "Upper end of the capacity's 95 % interval; the capacity itself where it was observed.",
           _capacity(lambda capacity: capacity.high)),
    Metric("density_footprint", "gauge", "of the resource", _COST,
           "What one more instance takes (density's own use is left out), in its ceiling's unit; memory.* in bytes.",
           _footprint(lambda footprint: footprint.value)),
    Metric("density_footprint_low", "gauge", "of the resource", _COST,
           "Lower end of the footprint's 95 % interval.", _footprint(lambda footprint: footprint.low)),
    Metric("density_footprint_high", "gauge", "of the resource", _COST,
           "Upper end of the footprint's 95 % interval.", _footprint(lambda footprint: footprint.high)),
    Metric("density_verdict_info", "gauge", INFO, ("ceiling", "subject", "resource", "fix"),
           "Which ceiling stopped the ramp, and what to change; absent while it goes on, else 1.", _verdict),
    Metric("density_verdict_confidence_ratio", "gauge", "ratio", _CEILING,
           "Odds that it was this ceiling; absent where that was measured (it needs none), or nothing tells them.",
           _confidence),
)
# fmt: on
