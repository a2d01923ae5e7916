"""Let the host come to rest after a wave, and read it while it rests."""

from collections.abc import Mapping

import anyio

from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds
from density.controller.bus import Bus
from density.controller.prober import Prober
from density.controller.sampler import PERIOD_SECONDS, Sampler
from density.events import WaveSettled
from density.ramp.averages import Timed, average
from density.ramp.rest import WINDOW, Key, Rest

LONGEST = 5
"""A host that does not come to rest is read all the same after this many times the profile's settling time."""
NEAR = 4
"""A ceiling that lies further away than this many times the nearest need not rest: nothing is decided by it."""


class Settler:
    """Settles after each wave of one run."""

    def __init__(self, bus: Bus, sampler: Sampler, prober: Prober, *, bounds: Bounds, seconds: float) -> None:
        self._bus = bus
        self._sampler = sampler
        self._prober = prober
        self._bounds = bounds
        self._seconds = seconds
        self._rest = Rest()

    async def settle(self, wave: int) -> None:
        """Wait at least the profile's settling time, until nothing moves; emit what the last samples come to.

        Where instances die, or the safety stop removes some, settling begins anew.
        """
        state = self._bus.state
        entered = began = anyio.current_time()
        alive = state.alive_by_workload
        samples: list[Timed] = []
        uses: list[dict[Key, float]] = []
        period = min(PERIOD_SECONDS, self._seconds / WINDOW) or PERIOD_SECONDS / WINDOW
        while True:
            await anyio.sleep(period)
            values = await self._sampler.sample()
            samples.append(Timed(anyio.current_time(), values))
            uses.append(self._uses(values))
            now = anyio.current_time()
            elapsed, late = now - began, now - entered >= LONGEST * self._seconds
            if alive != state.alive_by_workload and not late:
                alive, began = state.alive_by_workload, now
                samples, uses = [], []
                continue
            enough = elapsed >= self._seconds and not self._rest.moving(uses, self._near(), period=period)
            if len(samples) >= WINDOW and (enough or late):
                break
        self._rest.rested(uses[-WINDOW:])
        await self._prober.answered()
        values = {**state.values(), **average(samples[-WINDOW:]), **state.measures(since=began)}
        counts, failed = state.alive_by_workload, dict(state.failed_in_wave)
        self._bus.emit(WaveSettled(anyio.current_time(), began, wave, counts, values, failed))

    def _near(self) -> list[Key]:
        """The ceilings whose readings matter. Before the first wave there is nothing to rest from."""
        forecast = self._bus.state.forecast
        return [(near.ceiling, near.subject) for near in forecast if near.count <= NEAR * forecast[0].count]

    def _uses(self, values: Mapping[str, float]) -> dict[Key, float]:
        return {
            reading.key: reading.used for reading in readings(values, self._bounds) if not BY_ID[reading.ceiling].soft
        }
