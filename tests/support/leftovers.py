"""A host of a test's own for the clean-up: engines that hold nothing but leftovers, and runs that were killed."""

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Self

from density.controller.clean import Site
from density.controller.intent import Place
from density.engines.base import Engine, EngineContext
from density.errors import EngineUnavailable
from density.events import InstanceChanged
from density.model import EngineInfo, EngineName, Labelled, Prepared, Reaped, Workload


class FakeEngine:
    """An engine that holds nothing but leftovers: run -> names."""

    name: EngineName = "docker"

    def __init__(self, held: dict[str, list[str]], *, stuck: Sequence[str] = (), refuses: str = "") -> None:
        self.held = held
        self.reaped: list[str] = []
        self._stuck = stuck
        self._refuses = refuses

    async def __aenter__(self) -> Self:
        if self._refuses:
            raise EngineUnavailable("docker", self._refuses)
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def labelled(self) -> tuple[Labelled, ...]:
        return tuple(Labelled(name, run, running=True) for run, names in self.held.items() for name in names)

    async def reap(self, run_id: str) -> Reaped:
        self.reaped.append(run_id)
        names = self.held.pop(run_id, [])
        left = tuple(name for name in names if name in self._stuck)
        if left:
            self.held[run_id] = list(left)
        removed = tuple(name for name in names if name not in left)
        return Reaped(removed=removed, left=left, problem="it is locked up" if left else "")

    async def describe(self) -> EngineInfo:
        raise NotImplementedError

    async def check(self, workload: Workload) -> None:
        raise NotImplementedError

    async def prepare(self, workload: Workload) -> Prepared:
        raise NotImplementedError

    async def launch(self, workload: Workload, instance_id: str) -> None:
        raise NotImplementedError

    def watch(self) -> AsyncGenerator[InstanceChanged, None]:
        raise NotImplementedError

    async def stop(self, instance_ids: Sequence[str]) -> None:
        raise NotImplementedError


def site(directory: Path, engines: FakeEngine | Mapping[Place, FakeEngine]) -> Site:
    """A host of a test's own, with these engines."""

    def make(place: Place, _: EngineContext) -> Engine:
        return engines if isinstance(engines, FakeEngine) else engines[place]

    (directory / "root/proc").mkdir(parents=True, exist_ok=True)
    return Site(base=directory / "base", root=directory / "root", engines=make, lock=f"density-{uuid.uuid4().hex[:8]}")


def leave_behind(directory: Path, *runs: str) -> None:
    """Runtime directories of runs that were killed."""
    for run in runs:
        (directory / "base" / run).mkdir(parents=True)
        (directory / "base" / run / "lock").touch()
