"""The contract of every engine, and what a run hands to it."""

import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from density.events import InstanceChanged
from density.model import EngineInfo, EngineName, Labelled, Placement, Prepared, Reaped, Workload
from density.payload.channel import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContext:
    """What a run hands to its engines.

    Attributes:
        run_id: goes into every name and label.
        runtime_dir: sockets of this run, often in memory; its parents can be traversed by QEMU's user.
        data_dir: what grows, on a disk: overlays, copies of guests; beside it are those of other runs.
        cache_dir: images, guests and payloads that outlive the run.
        channel: hears the payloads.
        placement: the run's slice; None where there is none (no slice asked for, or it cannot be had).
        payload_writes: whether the payload may write to the files of its container, where that is what is measured.
        watched_seconds: how long the last instances of a run are watched once they are ready; infinite: not known.
    """

    run_id: str
    runtime_dir: Path
    data_dir: Path
    cache_dir: Path
    channel: Channel
    placement: Placement | None = None
    payload_writes: bool = False
    watched_seconds: float = math.inf

    def data_of(self, run_id: str) -> Path:
        """Where a run keeps what grows, also one that is dead."""
        return self.data_dir if run_id == self.run_id else self.data_dir.parent / run_id


class Engine(Protocol):
    """What runs instances; one per endpoint, an async context manager.

    Entering connects and raises `EngineUnavailable` where it cannot. Leaving closes connections; it removes no
    instances. An instance's failure is data: it comes as a change to `Phase.FAILED` or `Phase.LOST` with a `Failure`,
    never as an exception. `EngineUnavailable` from a later call means that the engine itself is gone.
    """

    name: EngineName

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def describe(self) -> EngineInfo:
        """Version, endpoint, limits and daemons."""
        ...

    async def check(self, workload: Workload) -> None:
        """Find out why a workload cannot run here, as far as that can be seen without making or starting anything.

        Raises:
            UsageError: it cannot, such as for an image, a network or a bridge that is not there.
            EngineUnavailable: the engine is gone.
        """
        ...

    async def prepare(self, workload: Workload) -> Prepared:
        """Make sure that the workload's image or guest exists and boots, before any clock starts.

        Raises:
            UsageError: the workload cannot run here (no such image, memory below what the guest needs, ...).
            EngineUnavailable: the engine is gone.
        """
        ...

    async def launch(self, workload: Workload, instance_id: str) -> None:
        """Create and start one instance and come back when it is ready or has failed.

        The phases (created, started, then ready or failed) come through `watch`, each with its own time. Ready comes
        within `workload.ready_timeout_seconds`, or the instance has failed with kind `timeout`. When cancelled, what
        the engine was already asked to make is still known to `reap`.
        """
        ...

    def watch(self) -> AsyncGenerator[InstanceChanged, None]:
        """Every change of every instance, in order, until the engine is left; for one consumer.

        What ends by itself after it was ready is reported as lost without being asked.
        """
        ...

    async def stop(self, instance_ids: Sequence[str]) -> None:
        """Stop and remove these instances; reports stopping, and removed of those that are gone.

        Unknown ids are ignored; what did not go the last time is tried again.
        """
        ...

    async def labelled(self) -> tuple[Labelled, ...]:
        """Everything here that carries density's label with a whole run id, of whichever run.

        Raises:
            EngineUnavailable: the engine is gone, or does not say.
        """
        ...

    async def reap(self, run_id: str) -> Reaped:
        """Remove what is labelled with this run, also what no one remembers.

        Looks for itself in the engine; afterwards looks again, and what is still there is `left`.
        """
        ...
