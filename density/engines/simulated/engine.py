"""The engine over the host model; see the package's text."""

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Self

import anyio

from density.engines.base import EngineContext
from density.engines.simulated.host import HostModel
from density.errors import UsageError
from density.events import InstanceChanged
from density.model import EngineInfo, EngineName, Failure, Phase, Prepared, Reaped, Workload
from density.payload.channel import ChannelClosed


class SimulatedEngine:
    """Launches nothing; asks a `HostModel` what would happen and how long it would take."""

    name: EngineName = "simulated"

    def __init__(self, context: EngineContext, *, host: HostModel) -> None:
        self.host = host
        self._run_id = context.run_id
        self._instances: dict[str, str] = {}
        self._send, self._receive = anyio.create_memory_object_stream[InstanceChanged](math.inf)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send.close()

    async def describe(self) -> EngineInfo:
        """The model stands for version and endpoint."""
        version = f"seed {self.host.spec.seed}"
        return EngineInfo(name="simulated", version=version, endpoint="simulated", running=tuple(self._instances))

    async def prepare(self, workload: Workload) -> Prepared:
        """Nothing to make; a workload whose image is called `missing` is refused as a real engine would."""
        if workload.image == "missing":
            raise UsageError(f"workloads.{workload.name}: there is no image {workload.image!r}")
        return Prepared()

    async def launch(self, workload: Workload, instance_id: str) -> None:
        """As the contract says; takes the time that the model gives."""
        seconds = self.host.launch_seconds()
        self.host.in_flight += 1
        try:
            if seconds > workload.ready_timeout_seconds:
                await anyio.sleep(workload.ready_timeout_seconds)
                self._fail(instance_id, workload, Failure("timeout", "not ready in time"))
                return
            await anyio.sleep(seconds * 0.3)
            self._emit(instance_id, workload.name, Phase.CREATED)
            await anyio.sleep(seconds * 0.3)
            if failure := self._start(workload, instance_id):
                self._fail(instance_id, workload, failure)
                return
            self._emit(instance_id, workload.name, Phase.STARTED)
            await anyio.sleep(seconds * 0.4)
            self._emit(instance_id, workload.name, Phase.READY)
        finally:
            self.host.in_flight -= 1

    def _start(self, workload: Workload, instance_id: str) -> Failure | None:
        if workload.image == "exits" or self.host.fails_by_chance():
            return Failure("exited", "the instance ended before it was ready", ("simulated: exit code 1",))
        failure = self.host.take(workload.name)
        if failure is None:
            self._instances[instance_id] = workload.name
        return failure

    async def watch(self) -> AsyncGenerator[InstanceChanged, None]:
        """As the contract says."""
        async with self._receive:
            async for change in self._receive:
                yield change

    async def ping(self, instance_id: str) -> float:
        """Round trip that the model gives; takes that long. Raises `ChannelClosed` for what does not run."""
        if instance_id not in self._instances:
            raise ChannelClosed(instance_id)
        seconds = self.host.probe_seconds()
        await anyio.sleep(seconds)
        return seconds

    def pingable(self, instance_id: str) -> bool:
        """Whether it runs."""
        return instance_id in self._instances

    async def stop(self, instance_ids: Sequence[str]) -> None:
        """As the contract says; a hundredth of a second each."""
        for instance_id in instance_ids:
            if workload := self._instances.pop(instance_id, None):
                self._emit(instance_id, workload, Phase.STOPPING)
                await anyio.sleep(0.01)
                self.host.give_back(workload)
                self._emit(instance_id, workload, Phase.REMOVED)

    def forget(self, instance_id: str) -> None:
        """Let an instance vanish without a word."""
        self.host.give_back(self._instances.pop(instance_id))

    def lose(self, instance_id: str) -> None:
        """Let an instance die by itself."""
        workload = self._instances.pop(instance_id)
        self.host.give_back(workload)
        failure = Failure("exited", "the instance ended by itself")
        self._emit(instance_id, workload, Phase.LOST, failure=failure)

    async def reap(self, run_id: str | None) -> Reaped:
        """Instances live in this object alone, so only this run's can be found."""
        if run_id not in (None, self._run_id):
            return Reaped()
        found = tuple(self._instances)
        await self.stop(found)
        return Reaped(removed=found)

    def _fail(self, instance_id: str, workload: Workload, failure: Failure) -> None:
        self._emit(instance_id, workload.name, Phase.FAILED, failure=failure)

    def _emit(
        self,
        instance_id: str,
        workload: str,
        phase: Phase,
        *,
        failure: Failure | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        self._send.send_nowait(
            InstanceChanged(anyio.current_time(), instance_id, workload, phase, failure, details or {})
        )
