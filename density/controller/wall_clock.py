"""Whether the host's calendar clock jumps while a run goes on: nothing is measured by it, but dates are made of it."""

import time
from collections.abc import Callable
from typing import NoReturn

import anyio

from density.controller.bus import Bus
from density.events import ClockStepped, Warned
from density.units import format_seconds

PERIOD_SECONDS = 1.0
LEAST_SECONDS = 1.0
"""What a clock that is only slewed (at most 0.5 ms a second) does not move by between two looks."""
_CLOSE_SECONDS = 0.05
_TRIES = 5


class WallClock:
    """Emits a `ClockStepped` for each jump, from the start of the run on, which the bus knows already.

    Args:
        read: UNIX seconds now.
    """

    def __init__(self, bus: Bus, *, read: Callable[[], float] = time.time) -> None:
        self._bus = bus
        self._read = read
        self._ahead = bus.state.wall - bus.state.started_at

    async def run(self) -> NoReturn:
        """Look until cancelled, and a last time then."""
        try:
            while True:
                await anyio.sleep(PERIOD_SECONDS)
                self.look()
        finally:
            self.look()

    def look(self) -> None:
        """Look now."""
        at, wall = self._both()
        jumped = wall - at - self._ahead
        self._ahead = wall - at
        if abs(jumped) < LEAST_SECONDS:
            return
        way = "forward" if jumped > 0 else "back"
        self._bus.emit(ClockStepped(at, wall, jumped))
        self._bus.emit(
            Warned(
                at,
                f"the host's clock jumped {way} by {format_seconds(abs(jumped))}; durations are not affected, and dates"
                " of this run are counted from its start, by the clock as it was then",
            )
        )

    def _both(self) -> tuple[float, float]:
        """The two clocks at one moment: where density was interrupted between them, they are read again."""
        for _ in range(_TRIES):
            at, wall = anyio.current_time(), self._read()
            if anyio.current_time() - at < _CLOSE_SECONDS:
                break
        return at, wall
