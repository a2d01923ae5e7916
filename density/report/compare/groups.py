"""The runs of a comparison: each group is one run, or several of the same kind that are taken together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from density.capacity.compare.batches import Series
from density.report.history import History
from density.report.recorded import Recorded

CUT_OFF, RUNNING = "cut off", "running"
"""Outcomes of a run without an end in its record, as `density runs` calls them."""
CREATED, READY, RATE = "created_seconds", "ready_seconds", "rate"
LEAST_SECONDS = 1e-6
"""Clocks of engines and of the tester meet in a launch: what took no time, or less, is taken to have taken this."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a comparison.

    Attributes:
        settings: its profile as it was used, by dotted keys; empty where that was not kept.
        alive: whether it still goes on.
    """

    recorded: Recorded
    settings: Mapping[str, object]
    launches: Mapping[str, Series]
    alive: bool = False

    @property
    def run_id(self) -> str:
        """As it is called."""
        return self.recorded.state.run_id

    @property
    def outcome(self) -> str:
        """Why it stopped growing; `running` or `cut off` where it did not come to that."""
        if self.recorded.state.outcome:
            return self.recorded.state.outcome.outcome
        return RUNNING if self.alive else CUT_OFF


Group = Sequence[Run]


def name(group: Group) -> str:
    """`RUN`, or `RUN and 2 more`."""
    return group[0].run_id + (f" and {len(group) - 1} more" if len(group) > 1 else "")


def launches(history: History) -> dict[str, Series]:
    """What launches took.

    `WORKLOAD.created_seconds` and `WORKLOAD.ready_seconds` count from the intended launch; `rate` has the seconds since
    the one before it, of the same wave, became ready: what passes between two waves is rest.
    """
    times = np.maximum.accumulate([at for at, _ in history.counts]) if history.counts else np.zeros(0)
    alive = [count for _, count in history.counts]
    found: dict[str, list[tuple[float, float]]] = {}
    last: dict[int, float] = {}
    ready = [(life.ready_at, life) for life in history.lives.values() if life.ready_at is not None]
    for at, life in sorted(ready, key=lambda item: item[0]):
        count = float(alive[int(np.searchsorted(times, at, side="right")) - 1])
        if life.created_at is not None:
            found.setdefault(f"{life.workload}.{CREATED}", []).append((count, life.created_at - life.requested_at))
        found.setdefault(f"{life.workload}.{READY}", []).append((count, at - life.requested_at))
        if life.wave in last:
            found.setdefault(RATE, []).append((count, at - last[life.wave]))
        last[life.wave] = at
    return {key: _series(values) for key, values in found.items()}


def _series(found: Sequence[tuple[float, float]]) -> Series:
    counts, values = np.array(found, dtype=np.float64).T
    return Series(counts, np.maximum(values, LEAST_SECONDS))
