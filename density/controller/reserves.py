"""The reserves of critical ceilings, checked before each launch."""

from collections.abc import Callable, Mapping
from enum import IntEnum

from density.ceilings.catalog import critical_readings
from density.ceilings.reading import Reading
from density.controller.watchdog import Watchdog
from density.model import Workload
from density.profile.spec import Profile
from density.ramp.decide import bounds_of, look_ahead
from density.state import IN_FLIGHT, RunState

Key = tuple[str, str]


class Verdict(IntEnum):
    """What the reserves say of one more launch.

    Attributes:
        NOW: it may begin.
        LATER: launches that are not in the readings yet might take what is kept; look again once they are.
        NEVER: a reserve is crossed without them.
    """

    NOW = 0
    LATER = 1
    NEVER = 2


class Reserves:
    """Says before each launch whether every reserve would still be whole with it.

    What is read at once counts what launches in flight have taken by then, so each of those is counted with its whole
    cost on top: an upper bound. What only the sensors read, such as disks, is as old as the last sample: every launch
    that was in flight then or has begun since is counted. So near a reserve fewer launches are in flight at once; with
    none in flight, the last one may cross a reserve by what it costs more than was known.

    Args:
        quick: reads what can be read at once, see `density.controller.equipment.Host`.
        watchdog: nothing is launched any more once it has raised an alarm.
    """

    def __init__(
        self,
        profile: Profile,
        state: RunState,
        quick: Callable[[], Mapping[str, float]],
        *,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._watchdog = watchdog
        self._profile = profile
        self._state = state
        self._quick = quick
        self._bounds = bounds_of(profile)
        self._sampled: list[Reading] = []
        self._ended_before: Mapping[str, int] = {}
        self._costs: Mapping[Key, Mapping[str, float]] = {}

    def plan(self) -> None:
        """Take the costs as they are known now; before each wave."""
        self._costs = look_ahead(self._profile, self._state).costs_by_workload()

    def ended(self) -> Mapping[str, int]:
        """Launches of each workload that have come to their end: a sample that begins now has what they take."""
        return {name: workload.launched for name, workload in self._state.workloads.items()}

    def sampled(self, values: Mapping[str, float], ended: Mapping[str, int]) -> None:
        """Take a sample of the host, and what `ended` was when it began."""
        self._sampled = critical_readings(values, self._bounds)
        self._ended_before = ended

    def verdict(self, workload: Workload) -> Verdict:
        """Whether one more may be launched now."""
        if self._watchdog and self._watchdog.alarm:
            return Verdict.NEVER
        in_flight = {name: sum(counts[each] for each in IN_FLIGHT) for name, counts in self._state.counts.items()}
        since = {name: count + self._ended_since(name) for name, count in in_flight.items()}
        now = critical_readings(self._quick(), self._bounds)
        fresh = {reading.key for reading in now}
        verdicts = [self._of(reading, workload, in_flight) for reading in now]
        verdicts += [self._of(reading, workload, since) for reading in self._sampled if reading.key not in fresh]
        return max(verdicts, default=Verdict.NOW)

    def _ended_since(self, name: str) -> int:
        launched = self._state.workloads[name].launched
        return launched - self._ended_before.get(name, launched)

    def _of(self, reading: Reading, workload: Workload, pending: Mapping[str, int]) -> Verdict:
        if not any(pending.values()):
            return Verdict.NOW if reading.room >= 0 else Verdict.NEVER
        costs = self._costs.get(reading.key, {})
        taken = sum(count * costs.get(name, 0.0) for name, count in pending.items())
        return Verdict.NOW if reading.room >= taken + costs.get(workload.name, 0.0) else Verdict.LATER
