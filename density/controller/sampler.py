"""One sample of the host a second, on a fixed beat; how long after its beat it is taken is the tester's own lag."""

import math
from collections.abc import Callable, Mapping

import anyio

from density.ceilings.catalog import readings
from density.ceilings.reading import Bounds, Reading
from density.controller.bus import Bus
from density.controller.equipment import Host
from density.events import HostSampled, TesterMeasured
from density.ramp.decide import crossed_reserve

PERIOD_SECONDS = 1.0
EXACT_SECONDS = 1e-6
"""A beat that is due by this much less than now is due now: times are floats."""


class Sampler:
    """Reads the host, emits what it read, and pulls the brake when a reserve is touched.

    Args:
        brake: called with the reading of a lethal ceiling whose reserve is crossed.
    """

    def __init__(self, bus: Bus, host: Host, *, bounds: Bounds, brake: Callable[[Reading], None]) -> None:
        self._bus = bus
        self._host = host
        self._bounds = bounds
        self._brake = brake
        self._max_lag = 0.0
        self._missed_beats = 0
        self._cpu_before: float | None = None

    async def run(self) -> None:
        """Sample until cancelled. Beats are fixed times; those that a late sample missed are counted, not caught up."""
        began = anyio.current_time()
        beat = 0
        while True:
            due = began + beat * PERIOD_SECONDS
            await anyio.sleep_until(due)
            values = await self._sample(thorough=False)
            now = anyio.current_time()
            following = max(beat + 1, math.ceil((now - began - EXACT_SECONDS) / PERIOD_SECONDS))
            self._missed_beats += following - beat - 1
            self._tester(values, lag=now - due)
            beat = following

    async def sample(self) -> Mapping[str, float]:
        """Take one thorough sample now, beside the beat."""
        return await self._sample(thorough=True)

    async def _sample(self, *, thorough: bool) -> Mapping[str, float]:
        started = anyio.current_time()
        values = await self._host.read(thorough=thorough)
        now = anyio.current_time()
        self._bus.emit(HostSampled(now, values, now - started))
        if self._cpu_before is None:
            self._cpu_before = values.get("tester.cpu_seconds")
        if crossed := crossed_reserve(tuple(readings(values, self._bounds))):
            self._brake(crossed)
        return values

    def _tester(self, values: Mapping[str, float], *, lag: float) -> None:
        self._max_lag = max(self._max_lag, lag)
        cpu = values.get("tester.cpu_seconds")
        self._bus.emit(
            TesterMeasured(
                anyio.current_time(),
                cpu_seconds=None if cpu is None else cpu - (self._cpu_before or 0.0),
                rss_bytes=values.get("tester.rss_bytes"),
                lag_seconds=lag,
                max_lag_seconds=self._max_lag,
                missed_beats=self._missed_beats,
            )
        )
