"""Whether an event of a record fits those before it.

A record may be damaged, come from another version, or be somebody else's; what passes here has only workloads that
the run began with, ceilings of the catalogue, counts that are counts, and times that a calendar has.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields

from density.ceilings.catalog import BY_ID
from density.events import (
    CeilingForecast,
    ClockStepped,
    Event,
    Forecasted,
    Held,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    SteppedBack,
    Stopped,
    WaveSettled,
    WaveStarted,
    WorkloadPrepared,
    WorkloadSkipped,
)
from density.profile.problems import found
from density.profile.spec import Require

MOST_SECONDS = 1e9
"""Of a moment or a duration, by the run's clock, either way from 0."""
MOST_WALL = 2.5e11
"""UNIX seconds of the year 9892; a calendar has few more."""
MOST = 1e30
"""Of any value; beyond it, squares overflow."""
MOST_COUNT = 2**53
_CAPACITIES = {each.name for each in fields(Require)}
_MOMENTS = frozenset({"at", "since", "seconds", "cost_seconds", "lag_seconds", "max_lag_seconds", "cpu_seconds"})
_COUNTS = frozenset(
    {"wave", "target", "sizes", "counts", "failed", "counts_before", "counts_after", "required"}
    | {"max_instances", "removed", "missed_beats"}
)


class Consistency:
    """Knows the events so far; one for each reading of a record."""

    def __init__(self) -> None:
        self._workloads: frozenset[str] | None = None
        self._instances: dict[str, str] = {}

    def check(self, event: Event) -> None:
        """Take the next event.

        Raises:
            ValueError: it cannot follow those before it, or has a number that no run has.
        """
        _check_numbers(event)
        if isinstance(event, RunStarted | ClockStepped) and not 0 <= event.wall <= MOST_WALL:
            raise ValueError(f"no calendar has the date {event.wall:g}")
        if isinstance(event, RunStarted):
            self._begin(event)
        for name in _workloads(event):
            if name not in (self._workloads or ()):
                raise ValueError(f"the run has no workload {name[:40]!r}")
        for ceiling in _ceilings(event):
            if ceiling not in BY_ID:
                raise ValueError(f"there is no ceiling {ceiling[:40]!r}")
        if isinstance(event, WorkloadSkipped):
            self._skip(event.workload)
        if isinstance(event, InstanceChanged):
            of = self._instances.setdefault(event.instance_id, event.workload)
            if of != event.workload:
                raise ValueError(f"instance {event.instance_id[:40]!r} is of another workload than before")

    def _begin(self, event: RunStarted) -> None:
        names = [workload.name for workload in event.workloads]
        if self._workloads is not None:
            raise ValueError("the run starts a second time")
        if not event.run_id:
            raise ValueError("the run has no id")
        if not names or len(set(names)) < len(names):
            raise ValueError("a run has one workload or more, each with a name of its own")
        if not event.required.keys() <= _CAPACITIES:
            raise ValueError("no such capacity can be required")
        if not all(0 < workload.share <= MOST for workload in event.workloads):
            raise ValueError("a workload's share is a number above 0")
        self._workloads = frozenset(names)

    def _skip(self, name: str) -> None:
        if name in self._instances.values():
            raise ValueError(f"workload {name[:40]!r} is skipped, but has instances")
        self._workloads = (self._workloads or frozenset()) - {name}


def _workloads(event: Event) -> Iterator[str]:
    match event:
        case InstanceChanged() | ProbeMeasured() | WorkloadPrepared() | WorkloadSkipped():
            yield event.workload
        case WaveStarted() | SteppedBack():
            yield from event.sizes
        case WaveSettled():
            yield from event.counts
        case Held():
            yield from event.counts_before
            yield from event.counts_after


def _ceilings(event: Event) -> Iterator[str]:
    match event:
        case Stopped() if event.ceiling:
            yield event.ceiling
        case Forecasted():
            yield from (each.ceiling for each in event.ceilings)
        case Held():
            yield from event.ceilings
        case InstanceChanged() if event.failure:
            yield from (own.ceiling for own in event.failure.own_limits)


def _check_numbers(event: Event | CeilingForecast) -> None:
    for name in event.__dataclass_fields__:
        value = getattr(event, name)
        for number in value.values() if isinstance(value, Mapping) else (value,):
            if isinstance(number, int | float) and not _can_be(name, number):
                raise ValueError(f"{name} cannot be {found(number)}")
    if isinstance(event, Forecasted):
        for each in event.ceilings:
            _check_numbers(each)


def _can_be(name: str, number: float) -> bool:
    if name in _MOMENTS:
        return -MOST_SECONDS <= number <= MOST_SECONDS
    if name in _COUNTS:
        return 0 <= number <= MOST_COUNT
    return -MOST <= number <= MOST or not math.isfinite(number)
