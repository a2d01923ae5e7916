"""Launches a wave: each engine at its own pace, with as many at once as make it faster."""

import math
from collections.abc import Mapping, Sequence

import anyio

from density.controller.bus import Bus
from density.controller.reserves import Reserves, Verdict
from density.engines.base import Engine
from density.errors import InternalFailure, in_short, meant, without_thread
from density.events import InstanceChanged
from density.log import logger
from density.model import INTERNAL, EngineName, Failure, Phase, Workload, instance_name
from density.ramp.concurrency import Concurrency
from density.ramp.pace import Pace
from density.ramp.shape import interleave
from density.state import IN_FLIGHT, RunState

log = logger(__name__)
STREAK = 5
"""So many launches in a row that failed by a fault of density, with none that worked between, stop the ramp."""
NEWS_SECONDS = 30.0
"""How long to wait for the engines' word on launches that have come back."""


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
        reserves: asked before each launch.
        concurrency: launches in flight at once an engine; 0 adapts.
    """

    def __init__(
        self,
        bus: Bus,
        engines: Mapping[EngineName, Engine],
        workloads: Sequence[Workload],
        *,
        reserves: Reserves,
        concurrency: int,
    ) -> None:
        self._bus = bus
        self._reserves = reserves
        self._engines = engines
        self._workloads = {workload.name: workload for workload in workloads}
        self._gates = {name: _Gate(Concurrency(fixed=concurrency)) for name in engines}
        self._numbers = dict.fromkeys(self._workloads, 0)
        self._stopped = False
        self._streak = 0
        self._broken = False

    def stop(self) -> None:
        """Launch nothing more; what is in flight comes to its end."""
        self._stopped = True

    def ease(self) -> bool:
        """Launch half as many at once for a while; False where every engine was at one already."""
        eased = [gate.concurrency.ease() for gate in self._gates.values()]
        return any(eased)

    async def wave(self, sizes: Mapping[str, int], *, until: float = math.inf) -> None:
        """Launch these and come back when each is ready or failed, and the state knows it.

        Args:
            until: no launch begins after this time.

        Raises:
            InternalFailure: `STREAK` launches in a row failed by a fault of density's own, or most of this wave did.
        """
        queues: dict[EngineName, list[Workload]] = {}
        for name in interleave(sizes):
            workload = self._workloads[name]
            queues.setdefault(workload.engine, []).append(workload)
        self._reserves.plan()
        before = dict(self._numbers)
        async with anyio.create_task_group() as group:
            for engine, queue in queues.items():
                group.start_soon(self._feed, engine, queue, until)
        ids = [
            instance_name(name, number)
            for name, first in before.items()
            for number in range(first + 1, self._numbers[name] + 1)
        ]
        await self._heard_of(ids)
        failed = self._bus.state.failed_in_wave[INTERNAL]
        if self._broken or (failed >= STREAK and 2 * failed > len(ids)):
            raise InternalFailure(
                f"density itself failed in {failed} of {len(ids)} launches; see density.log of this run"
            )

    async def _heard_of(self, ids: Sequence[str]) -> None:
        """Wait until the state knows what became of these; of which no engine says anything has failed."""
        waiting = list(ids)

        def none_waits(state: RunState) -> bool:
            while waiting and state.instances[waiting[-1]].phase not in IN_FLIGHT:
                waiting.pop()
            return not waiting

        with anyio.move_on_after(NEWS_SECONDS):
            await self._bus.until(none_waits)
        for instance_id in waiting:
            if self._bus.state.instances[instance_id].phase not in IN_FLIGHT:
                continue
            workload = self._workloads[self._bus.state.instances[instance_id].workload]
            failure = Failure(INTERNAL, f"the engine {workload.engine} did not say what became of it")
            log.error("no outcome", instance=instance_id, engine=workload.engine)
            self._bus.emit(InstanceChanged(anyio.current_time(), instance_id, workload.name, Phase.FAILED, failure))

    async def _feed(self, engine: EngineName, queue: Sequence[Workload], until: float) -> None:
        gate = self._gates[engine]
        gate.concurrency.pause()
        gate.pace.pause()
        async with anyio.create_task_group() as group:
            for workload in queue:
                await gate.enter()
                if not await self._may_begin(workload, gate, until):
                    gate.leave()
                    break
                instance_id = self._request(workload, gate.pace.due(anyio.current_time()))
                group.start_soon(self._launch, engine, workload, instance_id)

    async def _may_begin(self, workload: Workload, gate: _Gate, until: float) -> bool:
        """Wait while launches in flight might take what the reserves keep; False where no more may begin."""
        verdict = Verdict.NEVER

        def decided(_: RunState) -> bool:
            nonlocal verdict
            over = self._stopped or anyio.current_time() >= until
            verdict = Verdict.NEVER if over else self._reserves.verdict(workload)
            return verdict is not Verdict.LATER

        if not decided(self._bus.state):
            await self._bus.until(decided)
            gate.pace.pause()  # what was waited for here is no delay of the engine's
        return verdict is Verdict.NOW

    def _request(self, workload: Workload, intended: float) -> str:
        self._numbers[workload.name] += 1
        instance_id = instance_name(workload.name, self._numbers[workload.name])
        self._bus.emit(InstanceChanged(intended, instance_id, workload.name, Phase.REQUESTED))
        return instance_id

    async def _launch(self, engine: EngineName, workload: Workload, instance_id: str) -> None:
        try:
            # Whatever an engine is asked for, the record knows of, also if density is killed the moment after.
            await self._bus.kept()
            await self._engines[engine].launch(workload, instance_id)
        except Exception as error:
            if meant(error):
                raise  # the engine itself is gone
            self._failed(workload, instance_id, error)
        else:
            self._streak = 0
        finally:
            self._gates[engine].leave()

    def _failed(self, workload: Workload, instance_id: str, error: Exception) -> None:
        """A launch that raised what no engine should has failed, whatever the engine reports of it.

        Where the kernel refused density a thread, that is no fault of density's.
        """
        if without_thread(error):
            log.warning("no thread for a launch", instance=instance_id, error=in_short(error))
            failure = Failure("try_again", f"density was refused what a launch takes: {in_short(error)}")
            self._bus.emit(InstanceChanged(anyio.current_time(), instance_id, workload.name, Phase.FAILED, failure))
            return
        self._streak += 1
        if self._streak >= STREAK:
            self._broken = self._stopped = True
        failure = Failure(INTERNAL, f"density itself failed: {in_short(error)}")
        self._bus.emit(InstanceChanged(anyio.current_time(), instance_id, workload.name, Phase.FAILED, failure))
        self._bus.fault(f"launching by {workload.engine}", error)
