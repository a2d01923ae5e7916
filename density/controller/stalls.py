"""Times in which density itself did not run: stopped by a signal, starved of CPU, or busy with itself.

Meanwhile nothing was measured and no lease was renewed. So what died by then is found out first, told as what it is,
and no count is judged by it.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import anyio

from density.controller.bus import Bus
from density.engines.base import Engine
from density.events import InstanceChanged, StoodStill, Warned
from density.model import EngineName, Failure, Phase
from density.units import format_seconds

LEAST_SECONDS = 5.0
"""A shorter time moves a few measurements, which objectives judge by themselves, and ends no lease."""
NEWS_SECONDS = 5.0
"""How long the engines have to say themselves how those ended that they no longer list."""
Cause = Literal["stopped", "starved", "busy"]
_WORDS: Mapping[Cause, str] = {"stopped": "was stopped", "starved": "waited for a CPU", "busy": "was busy"}
_WAITED = Path("/proc/thread-self/schedstat")
_NANO = 1e-9


class Clocks(NamedTuple):
    """Seconds in which the thread of the event loop has run, and in which it waited for a CPU."""

    ran: float
    waited: float


class Stalls:
    """Notices when the event loop did not run for LEAST_SECONDS or more, by what was due meanwhile."""

    def __init__(self, bus: Bus, engines: Mapping[EngineName, Engine], *, lease_seconds: float) -> None:
        self._bus = bus
        self._engines = engines
        self._lease_seconds = lease_seconds
        self._lock = anyio.Lock()
        self._due: list[float] = []
        self._looked_at = -math.inf
        self._before = Clocks(0.0, 0.0)

    @contextmanager
    def expecting(self, due: float) -> Iterator[None]:
        """Something is waited for that comes by then, for as long as this is entered."""
        self._due.append(due)
        try:
            yield
        finally:
            self._due.remove(due)

    async def look(self) -> None:
        """Look now; once this is over, all that died while density stood still is told."""
        if self._late_by() >= LEAST_SECONDS or self._lock.locked():
            async with self._lock:
                if (seconds := self._late_by()) >= LEAST_SECONDS:
                    await self._stood_still(seconds)
        self._looked_at, self._before = anyio.current_time(), self._clocks()

    def _late_by(self) -> float:
        return anyio.current_time() - max(min(self._due, default=math.inf), self._looked_at)

    async def _stood_still(self, seconds: float) -> None:
        now, clocks, before = anyio.current_time(), self._clocks(), self._before
        self._looked_at = now
        cause = cause_of(seconds, ran=clocks.ran - before.ran, waited=clocks.waited - before.waited)
        self._bus.emit(StoodStill(now, seconds, cause))
        self._bus.emit(Warned(now, self._words(seconds, cause)))
        await find_vanished(self._bus, self._engines)

    def _clocks(self) -> Clocks:
        try:
            waited = int(_WAITED.read_text(encoding="ascii").split()[1]) * _NANO
        except (OSError, LookupError, ValueError):
            waited = 0.0
        return Clocks(time.thread_time(), waited)

    def _words(self, seconds: float, cause: Cause) -> str:
        lasted = format_seconds(seconds)
        said = f"density itself did not run for {lasted}: it {_WORDS[cause]}; nothing was measured meanwhile"
        if seconds < self._lease_seconds or "libvirt" not in self._engines:
            return said
        return f"{said}, and VMs ended whose lease of {format_seconds(self._lease_seconds)} ran out"


async def find_vanished(bus: Bus, engines: Mapping[EngineName, Engine]) -> None:
    """What the state takes for ready and its engine does not list has died; the engine is given time to say how.

    Raises:
        EngineUnavailable: an engine does not list anything.
    """
    state = bus.state
    ready = [name for name, instance in state.instances.items() if instance.phase is Phase.READY]
    listed = {name: frozenset((await engine.describe()).running) for name, engine in engines.items()}
    gone = {
        name: engine
        for name in ready
        if name not in listed[engine := state.workloads[state.instances[name].workload].workload.engine]
    }
    with anyio.move_on_after(NEWS_SECONDS):
        await bus.until(lambda state: not any(state.instances[name].phase is Phase.READY for name in gone))
    for name, engine in gone.items():
        instance = state.instances[name]
        if instance.phase is Phase.READY:
            failure = Failure("vanished", f"{engine} no longer lists the instance, and reported no end of it")
            bus.emit(InstanceChanged(anyio.current_time(), name, instance.workload, Phase.LOST, failure))


def cause_of(seconds: float, *, ran: float, waited: float) -> Cause:
    """Why the loop did not run, by the seconds in which its thread ran, and waited for a CPU."""
    if ran > seconds / 2:
        return "busy"
    return "starved" if waited > seconds / 2 else "stopped"
