"""The one stream of events: folded into the state first, then handed to every sink. No sink and no fault ends a run."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

import anyio

from density.errors import in_short
from density.events import Event, InstanceChanged, Warned
from density.log import logger
from density.model import Failure, Phase
from density.state import RunState

log = logger(__name__)
TRACEBACKS = 3
"""Of each part that fails; after that a fault is one line of the log."""
_ENDED = frozenset({Phase.FAILED, Phase.LOST, Phase.REMOVED})
_ORDER = {
    phase: number
    for number, phase in enumerate((Phase.REQUESTED, Phase.CREATED, Phase.STARTED, Phase.READY, Phase.STOPPING))
}
_LAST = len(_ORDER)


class Sink(Protocol):
    """What wants to hear of every event: the record, metrics, the live view, a log."""

    def handle(self, event: Event) -> None:
        """Take one event; must be quick, as the run waits."""
        ...


async def at_once() -> None:
    """Nothing is kept, or need not be waited for."""


class Bus:
    """Emits events to the state and the sinks, and wakes who waits for the state to become something.

    Attributes:
        kept: waits until what was emitted so far survives the end of this process.
    """

    def __init__(
        self, state: RunState, sinks: Sequence[Sink] = (), *, kept: Callable[[], Awaitable[None]] = at_once
    ) -> None:
        self.state = state
        self.kept = kept
        self._sinks = tuple(sinks)
        self._faults: Counter[str] = Counter()
        self._changed = anyio.Event()

    def emit(self, event: Event) -> None:
        """Everything that happens goes through here.

        An instance goes forward only and ends once: what is reported of it after that, twice, or too late, such as by
        an engine whose events come doubled or whose launch the run has given up, is left out for the state and for
        every sink. A sink that raises has missed this event.
        """
        if isinstance(event, InstanceChanged):
            change = self._next(event)
            if change is None:
                log.debug("late", instance=event.instance_id, phase=event.phase.value)
                return
            event = change
        self.state.apply(event)
        failed = []
        for sink in self._sinks:
            try:
                sink.handle(event)
            except Exception as error:  # noqa: BLE001 — a view or a server that fails is no end of a run
                failed.append((type(sink).__name__, error))
        for name, fault in failed:
            self.fault(name, fault)
        if self._changed.statistics().tasks_waiting:
            self._changed.set()
            self._changed = anyio.Event()

    def fault(self, part: str, error: BaseException) -> None:
        """A part of density's own raised what it should not, and the run goes on.

        The traceback goes to the log, and of the first one of each part there is a warning.

        Args:
            part: what failed, as the person knows it.
        """
        self._faults[part] += 1
        number = self._faults[part]
        log.error("fault", part=part, number=number, error=in_short(error),
                  exc_info=error if number <= TRACEBACKS else None)  # fmt: skip
        if number == 1:
            self.warn(f"{part} failed: {in_short(error)}; see density.log of this run")

    def warn(self, message: str) -> None:
        """Something that a person should know, once it happened."""
        self.emit(Warned(anyio.current_time(), message))

    def _next(self, event: InstanceChanged) -> InstanceChanged | None:
        """The change as it is for the run, which knows how far the instance had come; None where it is none."""
        instance = self.state.instances.get(event.instance_id)
        if instance is None:
            return event
        if instance.phase in _ENDED or _ORDER.get(event.phase, _LAST) <= _ORDER[instance.phase]:
            return None
        if event.phase in _ORDER:
            return event
        if not instance.was_ready:
            removed = Failure("removed", "it was removed before it was ready") if event.phase is Phase.REMOVED else None
            return replace(event, phase=Phase.FAILED, failure=event.failure or removed)
        if instance.phase is Phase.STOPPING:
            return replace(event, phase=Phase.REMOVED, failure=None)
        return event if event.phase is Phase.REMOVED else replace(event, phase=Phase.LOST)

    async def until(self, true: Callable[[RunState], bool]) -> None:
        """Wait until this holds of the state."""
        while not true(self.state):
            await self._changed.wait()
