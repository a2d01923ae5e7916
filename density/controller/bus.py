"""The one stream of events: folded into the state first, then handed to every sink."""

from collections.abc import Callable, Sequence
from typing import Protocol

import anyio

from density.events import Event
from density.state import RunState


class Sink(Protocol):
    """What wants to hear of every event: the record, metrics, the live view, a log."""

    def handle(self, event: Event) -> None:
        """Take one event; must be quick, as the run waits."""
        ...


class Bus:
    """Emits events to the state and the sinks, and wakes who waits for the state to become something."""

    def __init__(self, state: RunState, sinks: Sequence[Sink] = ()) -> None:
        self.state = state
        self._sinks = tuple(sinks)
        self._changed = anyio.Event()

    def emit(self, event: Event) -> None:
        """Everything that happens goes through here."""
        self.state.apply(event)
        for sink in self._sinks:
            sink.handle(event)
        if self._changed.statistics().tasks_waiting:
            self._changed.set()
            self._changed = anyio.Event()

    async def until(self, true: Callable[[RunState], bool]) -> None:
        """Wait until this holds of the state."""
        while not true(self.state):
            await self._changed.wait()
