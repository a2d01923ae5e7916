"""What single instances did, kept only where it is asked for: a run of thousands would be thousands of series."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from density.events import Event, InstanceChanged, ProbeMeasured
from density.model import Phase
from density.state import RunState

LIMIT = 1000
"""Instances that get series of their own, the first ones; the count of the others is said."""


class Life(NamedTuple):
    """One instance; seconds are None until there are any."""

    workload: str
    instance_id: str
    ready: bool
    ready_seconds: float | None
    probe_seconds: float | None


class Lives:
    """Keeps of the first instances what the state does not: each one's time to ready and last probe."""

    def __init__(self) -> None:
        self._ready_seconds: dict[str, float] = {}
        self._probe_seconds: dict[str, float] = {}

    def handle(self, event: Event, state: RunState) -> None:
        """Take one event that the state has folded."""
        match event:
            case InstanceChanged(instance_id=name, phase=Phase.READY, at=at):
                self._ready_seconds[name] = at - state.instances[name].intended_at
            case ProbeMeasured(instance_id=name, seconds=seconds):
                self._probe_seconds[name] = seconds
            case _:
                pass

    def of(self, state: RunState) -> Iterator[Life]:
        """The first `LIMIT` instances, in the order in which they were asked for."""
        for name, instance in islice(state.instances.items(), LIMIT):
            ready = instance.phase is Phase.READY
            times = self._ready_seconds.get(name), self._probe_seconds.get(name)
            yield Life(instance.workload, name, ready, *times)
