"""Pings ready instances on a schedule, so that what running ones feel is known while the ramp goes on."""

import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio

from density.controller.bus import Bus
from density.controller.equipment import Pinger
from density.events import ProbeMeasured
from density.model import Phase
from density.payload.channel import ChannelClosed

PROBES = 10
"""Pings a second, of all workloads in turn: over a hold of ten seconds 100, and a cost that does not grow with the
count."""
SPACING_SECONDS = 1 / PROBES
TIMEOUT_SECONDS = 10.0
"""A ping not answered this long after it was due counts as having taken that long."""
IN_FLIGHT = 4
"""Pings on their way to one instance; those that are due beyond them wait, and their clock runs."""
REFRESH_SECONDS = 1.0
TRIES = 40
"""Instances tried, at random, to find one that is still ready and answers pings at all."""


@dataclass(eq=False, slots=True)
class _Ping:
    """One ping: of which instance, when it was due, and whether it has come to its end."""

    instance_id: str
    due: float
    ended: anyio.Event = field(default_factory=anyio.Event)


@dataclass(eq=False, slots=True)
class _Line:
    """The pings of one instance: as many as may be on their way at once, the others wait."""

    limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(IN_FLIGHT))
    pings: int = 0


class Prober:
    """Pings in an open loop: each has its time, whatever became of the one before.

    So a stall is measured by every ping that was due during it; a prober that waits for answers leaves them out
    (coordinated omission).

    Workloads take turns; of a workload each ready instance is as likely as any other.
    """

    def __init__(self, bus: Bus, pinger: Pinger) -> None:
        self._bus = bus
        self._pinger = pinger
        self._random = random.Random(0)  # noqa: S311 — which instance is pinged is no secret
        self._under_way: set[_Ping] = set()
        self._lines: dict[str, _Line] = {}
        self._ready: dict[str, list[str]] = {}
        self._refreshed_at = -math.inf
        self._turns: deque[str] = deque()

    async def run(self) -> None:
        """Probe until cancelled."""
        async with anyio.create_task_group() as group:
            for due in self._schedule(anyio.current_time()):
                await anyio.sleep_until(due)
                if instance_id := self._chosen():
                    ping = _Ping(instance_id, due)
                    self._under_way.add(ping)
                    group.start_soon(self._follow, ping)

    async def answered(self) -> None:
        """Wait until every ping that is due by now has come to its end: until then its time is not known."""
        for ping in list(self._under_way):
            await ping.ended.wait()

    def _schedule(self, began: float) -> Iterator[float]:
        """When pings are due. What was due while nothing ran comes late, but nothing older than a ping may take."""
        number = 0
        while True:
            oldest = (anyio.current_time() - TIMEOUT_SECONDS - began) / SPACING_SECONDS
            number = max(number + 1, math.ceil(oldest))
            yield began + number * SPACING_SECONDS

    def _chosen(self) -> str | None:
        try:
            return self._choose()
        except Exception as error:  # noqa: BLE001 — a probe that fails measures nothing, and ends nothing
            self._bus.fault("the prober", error)
            return None

    def _choose(self) -> str | None:
        """A ready instance of the workload whose turn it is; of the next one that has any, where it has none."""
        self._refresh()
        for _ in self._ready:
            self._turns.rotate(-1)
            ready = self._ready[self._turns[0]]
            for _ in range(min(TRIES, len(ready))):
                name = ready[self._random.randrange(len(ready))]
                if self._is_ready(name) and self._pinger.pingable(name):
                    return name
        return None

    def _refresh(self) -> None:
        """Once a second, for it goes through all instances."""
        now = anyio.current_time()
        if now < self._refreshed_at + REFRESH_SECONDS:
            return
        self._refreshed_at = now
        self._ready = {name: [] for name in self._bus.state.workloads}
        for name, instance in self._bus.state.instances.items():
            if instance.phase is Phase.READY:
                self._ready[instance.workload].append(name)
        if not self._turns:
            self._turns.extend(self._ready)

    def _is_ready(self, instance_id: str) -> bool:
        return self._bus.state.instances[instance_id].phase is Phase.READY

    async def _follow(self, ping: _Ping) -> None:
        seconds: float | None = TIMEOUT_SECONDS
        with anyio.move_on_at(ping.due + TIMEOUT_SECONDS):
            seconds = await self._ask(ping)
        self._under_way.remove(ping)
        if seconds is not None and self._is_ready(ping.instance_id):
            workload = self._bus.state.instances[ping.instance_id].workload
            self._bus.emit(ProbeMeasured(anyio.current_time(), ping.instance_id, workload, seconds))
        ping.ended.set()

    async def _ask(self, ping: _Ping) -> float | None:
        """The time of a ping since it was due, without the timer's own lateness; None where the instance is gone."""
        line = self._lines.setdefault(ping.instance_id, _Line())
        line.pings += 1
        try:
            async with line.limit:
                waited = anyio.current_time() - ping.due
                seconds = await self._pinger.ping(ping.instance_id)
        except ChannelClosed:
            return None
        except Exception as error:  # noqa: BLE001 — as above
            self._bus.fault("the prober", error)
            return None
        finally:
            line.pings -= 1
            if not line.pings:
                del self._lines[ping.instance_id]
        return seconds + waited if waited >= SPACING_SECONDS else seconds
