"""Pings a few ready instances every second, so that what running ones feel is known while the ramp goes on."""

import random

import anyio

from density.controller.bus import Bus
from density.controller.equipment import Pinger
from density.events import ProbeMeasured
from density.model import Phase
from density.payload.channel import ChannelClosed

PERIOD_SECONDS = 1.0
PROBES = 10
"""Pings a period: over a hold of ten seconds 100, and a tester's cost that does not grow with the count."""
TIMEOUT_SECONDS = 10.0
"""A ping not answered by then counts as having taken that long."""


class Prober:
    """Chooses instances at random, each ready one as likely as any other."""

    def __init__(self, bus: Bus, pinger: Pinger) -> None:
        self._bus = bus
        self._pinger = pinger
        self._random = random.Random(0)  # noqa: S311 — which instance is pinged is no secret

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            await anyio.sleep(PERIOD_SECONDS)
            async with anyio.create_task_group() as group:
                for instance_id in self._choose():
                    group.start_soon(self._probe, instance_id)

    def _choose(self) -> list[str]:
        instances = self._bus.state.instances
        names = list(instances)
        chosen = self._random.sample(names, min(4 * PROBES, len(names)))
        ready = [name for name in chosen if instances[name].phase is Phase.READY and self._pinger.pingable(name)]
        return ready[:PROBES]

    async def _probe(self, instance_id: str) -> None:
        seconds = TIMEOUT_SECONDS
        try:
            with anyio.move_on_after(TIMEOUT_SECONDS):
                seconds = await self._pinger.ping(instance_id)
        except ChannelClosed:
            return
        instance = self._bus.state.instances[instance_id]
        if instance.phase is Phase.READY:
            self._bus.emit(ProbeMeasured(anyio.current_time(), instance_id, instance.workload, seconds))
