"""One sample of the host a second, on a fixed beat; how late it comes is the tester's own lag."""

from collections.abc import Callable, Mapping

import anyio

from density.ceilings.catalog import readings
from density.ceilings.reading import Bounds, Reading
from density.controller.bus import Bus
from density.controller.equipment import Host
from density.events import HostSampled, TesterMeasured
from density.ramp.decide import crossed_reserve

PERIOD_SECONDS = 1.0


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
        self._cpu_before: float | None = None

    async def run(self) -> None:
        """Sample until cancelled; beats that were missed are left out, not caught up."""
        due = anyio.current_time()
        while True:
            lag = anyio.current_time() - due
            self._max_lag = max(self._max_lag, lag)
            values = await self._sample(thorough=False)
            self._tester(values, lag)
            due = max(due + PERIOD_SECONDS, anyio.current_time())
            await anyio.sleep_until(due)

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

    def _tester(self, values: Mapping[str, float], lag: float) -> None:
        cpu = values.get("tester.cpu_seconds")
        self._bus.emit(
            TesterMeasured(
                anyio.current_time(),
                cpu_seconds=None if cpu is None else cpu - (self._cpu_before or 0.0),
                rss_bytes=values.get("tester.rss_bytes"),
                lag_seconds=lag,
                max_lag_seconds=self._max_lag,
            )
        )
