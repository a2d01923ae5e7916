"""The safety stop: what happens at once, in whatever stage, when the reserve of a critical ceiling is crossed."""

import math
from collections.abc import Awaitable, Callable, Mapping

import anyio
from anyio.abc import TaskGroup

from density.ceilings.catalog import readings
from density.ceilings.reading import Reading
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.launcher import Launcher
from density.controller.scaling import newest, scale_down
from density.errors import EngineUnavailable
from density.ramp.decide import bounds_of, crossed_reserve, describe, look_ahead

IN_FLIGHT_SECONDS = 3.0
"""Launches in flight take more for a moment than what runs, so their end is waited for, but no longer than this."""
Sample = Callable[[], Awaitable[Mapping[str, float]]]


class SafetyStop:
    """Stops launching for good, and removes the newest instances until the host has its reserve back.

    Attributes:
        first, last: the first and the last reading that crossed a reserve; None while there was none.
        count: samples so far in which a reserve was crossed.
    """

    def __init__(self, equipment: Equipment, bus: Bus, launcher: Launcher) -> None:
        self.first: Reading | None = None
        self.last: Reading | None = None
        self.count = 0
        self._equipment = equipment
        self._bus = bus
        self._launcher = launcher
        self._bounds = bounds_of(equipment.profile)
        self._batch = 1
        self._unavailable = False
        self._group: TaskGroup | None = None
        self._sample: Sample | None = None
        self._scope: anyio.CancelScope | None = None
        self._done = anyio.Event()

    def begin(self, group: TaskGroup, sample: Sample) -> None:
        """Act from now on, in this group; `sample` reads the host now."""
        self._group, self._sample = group, sample

    def end(self) -> None:
        """Leave everything to the teardown."""
        self._group = None
        if self._scope is not None:
            self._scope.cancel()

    def crossed(self, reading: Reading) -> None:
        """Take a reading that crosses the reserve; whoever samples calls this at every such sample."""
        self.count += 1
        self.last = reading
        if self.first is None:
            self.first = reading
            self._launcher.stop()
            self._bus.warn(f"launching stopped at once, the reserve was touched: {describe(reading)}")
        if self._scope is None and self._group is not None and self._sample is not None:
            self._scope, self._done = anyio.CancelScope(), anyio.Event()
            self._group.start_soon(self._act, self._scope, self._sample)

    async def idle(self) -> None:
        """Wait until nothing is being removed."""
        while self._scope is not None:
            await self._done.wait()

    async def _act(self, scope: anyio.CancelScope, sample: Sample) -> None:
        """Wait for what is in flight, then scale down while the reserve is crossed."""
        try:
            with scope:
                with anyio.move_on_after(IN_FLIGHT_SECONDS):
                    await self._bus.until(lambda state: not state.in_flight)
                await self._scale_down(sample)
        except EngineUnavailable as gone:
            if not self._unavailable:
                self._bus.warn(f"the safety stop could not remove instances: {gone}")
            self._unavailable = True
        finally:
            self._scope = None
            self._done.set()

    async def _scale_down(self, sample: Sample) -> None:
        """Remove batch after batch, each twice as large as the last one where that was not enough."""
        removed = 0
        while (reading := await self._reading(sample)) and self._bus.state.alive:
            batch = newest(self._bus.state, max(self._batch, self._wanted(reading)))
            self._batch = 2 * len(batch)
            removed += len(batch)
            await scale_down(self._bus, self._equipment, batch)
        if removed:
            self._bus.warn(f"the safety stop removed {removed:,} instances, {self._bus.state.alive:,} are left")

    async def _reading(self, sample: Sample) -> Reading | None:
        return crossed_reserve(tuple(readings(await sample(), self._bounds)))

    def _wanted(self, reading: Reading) -> int:
        """How many instances take what is missing to the reserve, where that is known."""
        cost = look_ahead(self._equipment.profile, self._bus.state).costs().get(reading.key, 0.0)
        return math.ceil(-reading.room / cost) if cost > 0 else 1
