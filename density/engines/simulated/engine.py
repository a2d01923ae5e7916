"""The engine over the host model; see the package's text."""

import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio

from density.engines.base import EngineContext
from density.engines.changes import Changes
from density.engines.simulated.host import HostModel
from density.errors import UsageError
from density.events import InstanceChanged
from density.model import EngineInfo, EngineName, Failure, Labelled, Phase, Prepared, Reaped, Workload
from density.payload.channel import ChannelClosed

_AFTER_THE_START = frozenset({"exited", "timeout"})
"""Failures of an instance that the engine had started."""


@dataclass(slots=True)
class _Instance:
    instance_id: str
    workload: Workload
    changed_at: float = 0.0


class SimulatedEngine:
    """Launches nothing; asks a `HostModel` what would happen and how long it would take.

    Attributes:
        stalled: while set, the engine does not answer: a launch runs out of time before anything is made.
    """

    name: EngineName = "simulated"

    def __init__(self, context: EngineContext, *, host: HostModel) -> None:
        self.host = host
        self._refusals: Iterator[Failure] = iter(())
        self.stalled = False
        self._run_id = context.run_id
        self._instances: dict[str, _Instance] = {}
        self._changes = Changes()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._changes.close()

    async def describe(self) -> EngineInfo:
        """The model stands for version and endpoint."""
        version = f"seed {self.host.spec.seed}"
        return EngineInfo(name="simulated", version=version, endpoint="simulated", running=tuple(self._instances))

    async def check(self, workload: Workload) -> None:
        """A workload whose image is called `missing` is refused as a real engine would."""
        if workload.image == "missing":
            raise UsageError(f"workloads.{workload.name}: there is no image {workload.image!r}")

    async def prepare(self, workload: Workload) -> Prepared:
        """Nothing to make."""
        await self.check(workload)
        return Prepared()

    async def launch(self, workload: Workload, instance_id: str) -> None:
        """As the contract says; takes the time that the model gives."""
        instance = _Instance(instance_id, workload)
        seconds = self.host.launch_seconds()
        self.host.in_flight += 1
        try:
            if refusal := next(self._refusals, None):
                self._changes.report(instance, Phase.FAILED, failure=refusal)
                return
            if self.stalled or seconds > workload.ready_timeout_seconds:
                await anyio.sleep(workload.ready_timeout_seconds)
                self._changes.report(instance, Phase.FAILED, failure=Failure("timeout", "not ready in time"))
                return
            await anyio.sleep(seconds * 0.3)
            self._changes.report(instance, Phase.CREATED)
            await anyio.sleep(seconds * 0.3)
            if failure := self._start(instance):
                if failure.kind in _AFTER_THE_START:
                    self._changes.report(instance, Phase.STARTED)
                self._changes.report(instance, Phase.FAILED, failure=failure)
                return
            self._changes.report(instance, Phase.STARTED)
            await anyio.sleep(seconds * 0.4)
            self._changes.report(instance, Phase.READY)
        finally:
            self.host.in_flight -= 1

    def _start(self, instance: _Instance) -> Failure | None:
        if instance.workload.image == "exits" or self.host.fails_by_chance():
            return Failure("exited", "the instance ended before it was ready", ("simulated: exit code 1",))
        failure = self.host.take(instance.workload.name)
        if failure is None:
            self._instances[instance.instance_id] = instance
        return failure

    def watch(self) -> AsyncGenerator[InstanceChanged]:
        """As the contract says."""
        return self._changes.read()

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
            instance = self._instances.get(instance_id)
            if instance is None:
                continue
            self._changes.report(instance, Phase.STOPPING)
            await anyio.sleep(0.01)  # cancelled here, it is still there
            if self._instances.pop(instance_id, None):
                self.host.give_back(instance.workload.name)
                self._changes.report(instance, Phase.REMOVED)

    def refuse(self, failure: Failure, *, times: int | None = None) -> None:
        """Let the next launches fail like this before anything is made, as by a daemon that is gone."""
        self._refusals = itertools.repeat(failure) if times is None else itertools.repeat(failure, times)

    def forget(self, instance_id: str) -> None:
        """Let an instance vanish without a word."""
        self.host.give_back(self._instances.pop(instance_id).workload.name)

    def lose(self, instance_id: str) -> None:
        """Let an instance die by itself."""
        instance = self._instances.pop(instance_id)
        self.host.give_back(instance.workload.name)
        self._changes.report(instance, Phase.LOST, failure=Failure("exited", "the instance ended by itself"))

    async def labelled(self) -> tuple[Labelled, ...]:
        """Instances live in this object alone, so only this run's can be found."""
        return tuple(Labelled(name, self._run_id, running=True) for name in self._instances)

    async def reap(self, run_id: str) -> Reaped:
        """As `labelled`."""
        if run_id != self._run_id:
            return Reaped()
        found = tuple(self._instances)
        await self.stop(found)
        return Reaped(removed=found)
