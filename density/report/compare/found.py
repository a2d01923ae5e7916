"""What one run has found for itself, with its error: capacities and footprints."""

import math
from collections.abc import Iterator

from density.capacity.compare.difference import Measured
from density.capacity.footprint import GUARD, UNSEEN, student
from density.ceilings.catalog import BY_ID
from density.ramp.decide import GRAIN
from density.report.compare.groups import CUT_OFF, RUNNING, Run
from density.report.recorded import Recorded

NORMAL = 1.96
"""Half a 95 % interval, in standard errors."""
SHORT = GRAIN + GUARD * UNSEEN
"""A ramp may end short of a ceiling by this share: by what it keeps off a reserve, and what is not worth a wave."""
NOTHING = 0.05
"""Bytes or whole things: what an instance takes less of than this it does not take; other processes come and go."""
BY_CHOICE = {
    "max": "stopped at its max",
    "duration": "ran out of its time",
    "interrupted": "was interrupted",
    "error": "ended in an error",
    CUT_OFF: "was cut off",
    RUNNING: "still goes on",
    "forecast": "stopped at its forecast",
}
"""Outcomes after which a run might have gone further, in words."""
BY_OBJECTIVE = "ended by an objective"


def capacity(run: Run, kind: str, *, several: bool) -> tuple[Measured, str]:
    """A capacity, and a note where it says less than it seems to; then its error is infinite.

    Args:
        several: whether runs are compared in groups, whose scatter shows how exactly an objective is met.
    """
    recorded, outcome = run.recorded, run.outcome
    known = recorded.result["capacity"][kind]
    if known["count"] is None:
        return Measured(0.0, math.inf, 1.0), known["kind"]
    if known["kind"] == "forecast":
        return _forecast(known["count"], (known["high"] - known["low"]) / 2 / NORMAL)
    if outcome in BY_CHOICE or known["at_least"]:
        return Measured(known["count"], math.inf, 1.0), f"{BY_CHOICE.get(outcome, BY_OBJECTIVE)}, a lower bound"
    if _by_objective(recorded) and not several:
        return Measured(known["count"], math.inf, 1.0), "ended by an objective, one run does not show how exactly"
    return Measured(known["count"], _resolution(recorded, known["count"]) / NORMAL), ""


def _forecast(count: float, error: float) -> tuple[Measured, str]:
    if error >= count:
        return Measured(count, math.inf, 1.0), "a forecast that is too wide to compare"
    return Measured(count, error), ""


def footprints(run: Recorded) -> Iterator[tuple[str, str, Measured]]:
    """Key (`WORKLOAD.footprint.RESOURCE`), unit and value of every cost, also of those that are none."""
    workloads = run.result["workloads"]
    freedom = sum(1 for rest in run.state.rests if rest) - 1 - len(workloads)
    for workload, each in workloads.items():
        for resource, cost in each["footprint"].items():
            yield f"{workload}.footprint.{resource}", cost["unit"], _cost(cost["value"], cost["high"], freedom)


def _cost(value: float | None, high: float | None, freedom: int) -> Measured:
    if value is None or high is None or freedom < 1:
        return Measured(value or 0.0, math.inf, 1.0)
    return Measured(value, (high - value) / student(freedom), float(freedom))


def _by_objective(run: Recorded) -> bool:
    outcome = run.state.outcome
    return outcome is not None and bool(outcome.ceiling) and BY_ID[outcome.ceiling].soft


def _resolution(run: Recorded, count: int) -> float:
    """How far off an observed capacity may be: what the ramp does not try, and what its last readings leave open."""
    outcome = run.state.outcome
    bound = (outcome.ceiling, outcome.subject) if outcome else None
    margins = [
        (each.high - each.low) / 2
        for each in run.state.forecast
        if (each.ceiling, each.subject) == bound and math.isfinite(each.high)
    ]
    return max(0.5, SHORT * count, *margins)


def is_cost(measured: Measured) -> bool:
    """Whether a footprint is clear of 0."""
    return measured.value > max(2 * measured.error, NOTHING)
