"""Launches a wave: each engine at its own pace, with as many at once as make it faster."""

from collections.abc import Mapping, Sequence

import anyio

from density.controller.bus import Bus
from density.engines.base import Engine
from density.events import InstanceChanged
from density.model import EngineName, Phase, Workload, instance_name
from density.ramp.concurrency import Concurrency
from density.ramp.pace import Pace
from density.ramp.shape import interleave
from density.state import RunState


class _Gate:
    """Lets through as many at once as `Concurrency` says, which may change between two."""

    def __init__(self, concurrency: Concurrency) -> None:
        self.concurrency = concurrency
        self.pace = Pace()
        self._inside = 0
        self._left = anyio.Event()

    async def enter(self) -> None:
        while self._inside >= self.concurrency.limit:
            await self._left.wait()
        self._inside += 1

    def leave(self) -> None:
        self._inside -= 1
        self.concurrency.completed(anyio.current_time())
        self._left.set()
        self._left = anyio.Event()


class Launcher:
    """Launches waves and numbers instances.

    Args:
        concurrency: launches in flight at once an engine; 0 adapts.
    """

    def __init__(
        self, bus: Bus, engines: Mapping[EngineName, Engine], workloads: Sequence[Workload], *, concurrency: int
    ) -> None:
        self._bus = bus
        self._engines = engines
        self._workloads = {workload.name: workload for workload in workloads}
        self._gates = {name: _Gate(Concurrency(fixed=concurrency)) for name in engines}
        self._numbers = dict.fromkeys(self._workloads, 0)
        self._stopped = False

    def stop(self) -> None:
        """Launch nothing more; what is in flight comes to its end."""
        self._stopped = True

    def ease(self) -> bool:
        """Launch half as many at once from now on; False where every engine was at one already."""
        eased = [gate.concurrency.ease() for gate in self._gates.values()]
        return any(eased)

    async def wave(self, sizes: Mapping[str, int]) -> None:
        """Launch these and come back when each is ready or failed, and the state knows it."""
        queues: dict[EngineName, list[Workload]] = {}
        for name in interleave(sizes):
            workload = self._workloads[name]
            queues.setdefault(workload.engine, []).append(workload)
        before = _ended(self._bus.state)
        requested = sum(self._numbers.values())
        async with anyio.create_task_group() as group:
            for engine, queue in queues.items():
                group.start_soon(self._feed, engine, queue)
        expected = before + sum(self._numbers.values()) - requested
        await self._bus.until(lambda state: _ended(state) >= expected)

    async def _feed(self, engine: EngineName, queue: Sequence[Workload]) -> None:
        gate = self._gates[engine]
        gate.concurrency.pause()
        gate.pace.pause()
        async with anyio.create_task_group() as group:
            for workload in queue:
                await gate.enter()
                if self._stopped:
                    gate.leave()
                    break
                instance_id = self._request(workload, gate.pace.due(anyio.current_time()))
                group.start_soon(self._launch, engine, workload, instance_id)

    def _request(self, workload: Workload, intended: float) -> str:
        self._numbers[workload.name] += 1
        instance_id = instance_name(workload.name, self._numbers[workload.name])
        self._bus.emit(InstanceChanged(intended, instance_id, workload.name, Phase.REQUESTED))
        return instance_id

    async def _launch(self, engine: EngineName, workload: Workload, instance_id: str) -> None:
        try:
            await self._engines[engine].launch(workload, instance_id)
        finally:
            self._gates[engine].leave()


def _ended(state: RunState) -> int:
    """Launches that came to an end."""
    return sum(workload.launched for workload in state.workloads.values())
