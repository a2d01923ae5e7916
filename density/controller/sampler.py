"""One sample of the host a second, on a fixed beat; how long after its beat it is taken is the tester's own lag."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio

from density.ceilings.catalog import readings
from density.ceilings.reading import Bounds, Reading
from density.controller.bus import Bus
from density.controller.equipment import Host
from density.controller.reserves import Reserves
from density.controller.stalls import Stalls
from density.errors import HostUnreadable
from density.events import HostSampled, TesterMeasured
from density.host.reading import Sample
from density.ramp.decide import crossed_reserve

PERIOD_SECONDS = 1.0
EXACT_SECONDS = 1e-6
"""A beat that is due by this much less than now is due now: times are floats."""
STALE_SECONDS = 5.0
"""A host that was not read for this long is not known any more: nothing may be launched on it."""
PATIENCE_SECONDS = 1.0
"""How long a reading may take at least, however long ago the last one was: density itself may have stood still."""
CRITICAL = frozenset({"memory", "tasks", "files", "tester", "daemon.libvirtd", "daemon.virtqemud"})
CRITICAL_DISKS = "disk."
"""Sensors of critical ceilings, and how the names of those of disks begin."""


class Sampler:
    """Reads the host, emits what it read, and stops launching when a reserve is touched or the host cannot be read.

    Args:
        reserves: take each sample's values.
        stalls: notices by the samples' times when density itself does not run.
        brake: called with the reading of a lethal ceiling whose reserve is crossed.
        unreadable: called when the host, or a sensor of a critical ceiling, has not answered for STALE_SECONDS.
    """

    def __init__(  # noqa: PLR0913 — one parameter a part of the run
        self,
        bus: Bus,
        host: Host,
        *,
        bounds: Bounds,
        reserves: Reserves,
        stalls: Stalls,
        brake: Callable[[Reading], None],
        unreadable: Callable[[HostUnreadable], None],
    ) -> None:
        self._bus = bus
        self._host = host
        self._bounds = bounds
        self._reserves = reserves
        self._stalls = stalls
        self._brake = brake
        self._unreadable = unreadable
        self._max_lag = 0.0
        self._missed_beats = 0
        self._cpu_before: float | None = None
        self._last = Sample({})
        self._last_at: float | None = None
        self._worked: set[str] = set()
        self._warned: set[str] = set()

    async def run(self) -> None:
        """Sample until cancelled. Beats are fixed times; those that a late sample missed are counted, not caught up."""
        began = anyio.current_time()
        beat = 0
        while True:
            due = began + beat * PERIOD_SECONDS
            with self._stalls.expecting(due):
                await anyio.sleep_until(due)
                await self._stalls.look()
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
        """The values now; those of the last sample where the host does not answer."""
        started, ended = anyio.current_time(), self._reserves.ended()
        known_at = started if self._last_at is None else self._last_at
        deadline = max(known_at + STALE_SECONDS, started + PATIENCE_SECONDS)
        with self._stalls.expecting(started + PATIENCE_SECONDS):
            try:
                with anyio.CancelScope(deadline=deadline) as patience:
                    sample = await self._host.read(thorough=thorough)
            except Exception as error:  # noqa: BLE001 — sensors that fail once are read again
                return self._failed(error, known_at)
            await self._stalls.look()
        now = anyio.current_time()
        if now - deadline > PATIENCE_SECONDS:  # nobody was there to see what was read, or that nothing was
            return await self._sample(thorough=thorough)
        if patience.cancelled_caught:
            self._unreadable(HostUnreadable(now - known_at))
            return self._last.values
        sample = replace(sample, values={**sample.values, **self._bus.state.pool_values()})
        self._last, self._last_at = sample, now
        self._bus.emit(HostSampled(now, sample.values, now - started, sample.durations, sample.failures))
        self._reserves.sampled(sample.values, ended)
        self._warn_of(sample)
        if self._cpu_before is None:
            self._cpu_before = sample.values.get("tester.cpu_seconds")
        if crossed := crossed_reserve(tuple(readings(sample.values, self._bounds))):
            self._brake(crossed)
        silent = {name: seconds for name, seconds in sample.hung.items() if seconds >= STALE_SECONDS}
        if critical := [name for name in silent if name in CRITICAL or name.startswith(CRITICAL_DISKS)]:
            self._unreadable(HostUnreadable(max(silent[name] for name in critical), critical))
        return sample.values

    def _failed(self, error: Exception, known_at: float) -> Mapping[str, float]:
        """The host could not be read at all, by a fault of density's own: what was read last stands for a while."""
        self._bus.fault("reading the host", error)
        seconds = anyio.current_time() - known_at
        if self._last_at is None or seconds >= STALE_SECONDS:
            self._unreadable(HostUnreadable(seconds))
        return self._last.values

    def _warn_of(self, sample: Sample) -> None:
        """Once for each sensor that fails after it worked, or hangs; what this host has never had is no news."""
        self._worked.update(name for name in sample.durations if name not in sample.failures)
        for name, reason in sample.failures.items():
            if (name in self._worked or name in sample.hung) and name not in self._warned:
                self._warned.add(name)
                message = f"sensor {name} failed and is tried again: {reason}; what it reads is not watched meanwhile"
                self._bus.warn(message)

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
