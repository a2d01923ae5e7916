"""Times in which density itself did not run: stopped by a signal, starved of CPU, or busy with itself.

Meanwhile nothing was measured and no lease was renewed. So what died by then is found out first, told as what it is,
and no count is judged by it.
"""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import anyio

from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.engines.base import Engine
from density.events import InstanceChanged, StoodStill, Warned
from density.model import EngineName, Failure, Phase
from density.units import format_seconds

PERIOD_SECONDS = 0.5
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
    """Notices when the event loop did not run for LEAST_SECONDS or more."""

    def __init__(self, bus: Bus, equipment: Equipment) -> None:
        self._bus = bus
        self._equipment = equipment
        self._lock = anyio.Lock()
        self._due = math.inf
        self._before = Clocks(0.0, 0.0)

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        self._go_on()
        while True:
            await anyio.sleep_until(self._due)
            await self.look()

    async def look(self) -> None:
        """Look now; once this is over, all that died while density stood still is told."""
        async with self._lock:
            now, clocks, before = anyio.current_time(), self._clocks(), self._before
            seconds = now - self._due
            if seconds >= LEAST_SECONDS:
                cause = cause_of(seconds, ran=clocks.ran - before.ran, waited=clocks.waited - before.waited)
                self._bus.emit(StoodStill(now, seconds, cause))
                self._bus.emit(Warned(now, self._words(seconds, cause)))
                await find_vanished(self._bus, self._equipment.engines)
            self._go_on()

    def _go_on(self) -> None:
        self._due, self._before = anyio.current_time() + PERIOD_SECONDS, self._clocks()

    def _clocks(self) -> Clocks:
        try:
            waited = int(_WAITED.read_text(encoding="ascii").split()[1]) * _NANO
        except (OSError, LookupError, ValueError):
            waited = 0.0
        return Clocks(time.thread_time(), waited)

    def _words(self, seconds: float, cause: Cause) -> str:
        lasted = format_seconds(seconds)
        said = f"density itself did not run for {lasted}: it {_WORDS[cause]}; nothing was measured meanwhile"
        lease = self._equipment.profile.lease_seconds
        if seconds < lease or "libvirt" not in self._equipment.engines:
            return said
        return f"{said}, and VMs ended whose lease of {format_seconds(lease)} ran out"


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
