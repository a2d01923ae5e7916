"""A place for single instances: launched one by one, beside the ramps, and timed."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import anyio

from density.capacity.versus.figure import Subject
from density.controller.away import when_back
from density.controller.engines import enter_engines
from density.controller.paths import cache_dir
from density.engines.base import Engine, EngineContext
from density.errors import DensityError, EngineUnavailable, UsageError
from density.events import InstanceChanged
from density.model import AcceleratorName, EngineInfo, EngineName, Failure, Phase, Reaped, Workload, instance_name
from density.payload.background import background
from density.payload.channel import Channel
from density.profile.spec import Profile
from density.units import format_some

ATTEMPTS = 3
"""An emulated guest on a busy host may fail by itself: its clock does not tick as its kernel wants."""
REMOVAL_SECONDS = 5.0
"""How long after an engine is done with stopping its word of each instance may take."""
_ENDED = frozenset({Phase.READY, Phase.FAILED})
_GONE = frozenset({Phase.FAILED, Phase.LOST, Phase.REMOVED})
_ACCELERATORS: Mapping[str, AcceleratorName] = {"kvm": "kvm", "tcg": "tcg"}


class LaunchFailed(DensityError):
    """An instance that was to be measured did not become ready."""


@dataclass(frozen=True, slots=True)
class Launched:
    """An instance that is ready: seconds from the request to each phase."""

    instance_id: str
    created_seconds: float
    started_seconds: float
    ready_seconds: float


@dataclass(slots=True)
class _Life:
    changes: dict[Phase, InstanceChanged] = field(default_factory=dict)
    ended: anyio.Event = field(default_factory=anyio.Event)
    gone: anyio.Event = field(default_factory=anyio.Event)


class Bed:
    """Engines with a channel; see `make_bed`.

    Attributes:
        subjects: one a workload, with the accelerator that was found or why it cannot run here.
        infos: what each engine says of itself.
        engines: entered, by name.
        unasked: engines that could not be asked at the end, so that nobody knows what they still hold.
    """

    def __init__(self, context: EngineContext, engines: Mapping[EngineName, Engine], *, left: list[str]) -> None:
        """`left` takes the names of what could not be removed."""
        self.context = context
        self.channel = context.channel
        self.subjects: tuple[Subject, ...] = ()
        self.infos: dict[EngineName, EngineInfo] = {}
        self.unasked: list[EngineName] = []
        self._left = left
        self.engines = engines
        self._lives: dict[str, _Life] = {}
        self._numbers = 0

    def new_id(self, workload: Workload) -> str:
        """An id that no other instance of this bed has."""
        self._numbers += 1
        return instance_name(workload.name, self._numbers)

    async def prepare(self, workloads: Iterable[Workload], missing: Mapping[EngineName, EngineUnavailable]) -> None:
        """Find out which of these can run here, and how."""
        for name, engine in self.engines.items():
            self.infos[name] = await engine.describe()
        self.subjects = tuple([await self._subject(workload, missing) for workload in workloads])

    async def _subject(self, workload: Workload, missing: Mapping[EngineName, EngineUnavailable]) -> Subject:
        if workload.engine in missing:
            return Subject(workload=workload, missing=str(missing[workload.engine]))
        try:
            prepared = await self.engines[workload.engine].prepare(workload)
        except UsageError as error:
            return Subject(workload=workload, missing=str(error))
        # What was found out by booting one need not be found out again.
        found = _ACCELERATORS.get(prepared.accelerator, workload.accelerator)
        return Subject(workload=replace(workload, accelerator=found), accelerator=prepared.accelerator)

    async def ready_for(self, workload: Workload) -> None:
        """Make sure that a workload can run which is no subject.

        Raises:
            UsageError: it cannot.
            EngineUnavailable: the engine is gone.
        """
        await self.engines[workload.engine].prepare(workload)

    async def launch(self, workload: Workload) -> Launched:
        """Launch one and wait until it is ready.

        Raises:
            LaunchFailed: it does not become ready.
            EngineUnavailable: the engine is gone.
        """
        instance_id = self.new_id(workload)
        life = self._lives[instance_id] = _Life()
        asked = anyio.current_time()
        await self.engines[workload.engine].launch(workload, instance_id)
        await life.ended.wait()
        if failed := life.changes.get(Phase.FAILED):
            raise LaunchFailed(f"{instance_id} did not become ready: {_words(failed.failure)}")
        times = {phase: change.at - asked for phase, change in life.changes.items()}
        return Launched(instance_id, times[Phase.CREATED], times[Phase.STARTED], times[Phase.READY])

    @asynccontextmanager
    async def launched(self, workload: Workload) -> AsyncGenerator[Launched]:
        """One that is ready, and is stopped on leaving, however it is left; raises as `launch`."""
        launched = await self.launch(workload)
        try:
            yield launched
        finally:
            with anyio.CancelScope(shield=True):
                await self.stop(workload, [launched])

    async def launch_many(self, workload: Workload, count: int) -> list[Launched]:
        """Launch so many at once, another for each that fails; raises as `launch`, and then none of them is left."""
        found: list[Launched] = []
        problems: list[DensityError] = []

        async def one() -> None:
            try:
                found.append(await self.launch(workload))
            except DensityError as error:  # the others come to their end, so that they can be stopped
                problems.append(error)

        for _ in range(ATTEMPTS):
            async with anyio.create_task_group() as group:
                for _ in range(count - len(found)):
                    group.start_soon(one)
            if len(found) == count:
                return found
        await self.stop(workload, found)
        raise problems[0]

    async def stop(self, workload: Workload, launched: Sequence[Launched]) -> None:
        """Stop and remove these, and come back when they are gone.

        Raises:
            EngineUnavailable: some do not go, so that whatever is measured next would not be measured alone.
        """
        there = [one.instance_id for one in launched]
        for _ in range(ATTEMPTS):
            await self.engines[workload.engine].stop(there)
            with anyio.move_on_after(REMOVAL_SECONDS):
                for instance_id in there:
                    await self._lives[instance_id].gone.wait()
            there = [each for each in there if not self._lives[each].gone.is_set()]
            if not there:
                return
        raise EngineUnavailable(workload.engine, f"{format_some(there)} cannot be stopped")

    async def watch(self, engine: Engine) -> None:
        """Hear an engine's changes until cancelled."""
        async with aclosing(engine.watch()) as changes:
            async for change in changes:
                life = self._lives.setdefault(change.instance_id, _Life())
                life.changes.setdefault(change.phase, change)
                if change.phase in _ENDED:
                    life.ended.set()
                if change.phase in _GONE:
                    life.gone.set()

    async def clear(self) -> None:
        """Remove everything of this run."""
        for name, engine in self.engines.items():
            try:
                self._left += (await when_back(partial(self._clear, engine), left=self._there)).left
            except EngineUnavailable as gone:
                self.unasked.append(name)
                self._left.append(f"what {name} may still hold ({gone.reason})")
            except Exception as error:  # noqa: BLE001 — a fault in one engine is no reason to leave what the others hold
                self._left.append(f"what {name} may still hold ({type(error).__name__}: {error})")

    async def _clear(self, engine: Engine) -> Reaped:
        await engine.stop(list(self._lives))
        return await engine.reap(self.context.run_id)

    def _there(self) -> int:
        return sum(not life.gone.is_set() for life in self._lives.values())


def _words(failure: Failure | None) -> str:
    """Why it failed, with the last that the instance itself said."""
    if failure is None:
        return "no reason given"
    return f"{failure.message}; {failure.evidence[-1]}" if failure.evidence else failure.message


@asynccontextmanager
async def make_bed(
    profile: Profile, *, run_id: str, runtime_dir: Path, data_dir: Path, left: list[str]
) -> AsyncGenerator[Bed]:
    """A bed for the profile's workloads; whatever was launched in it is removed on leaving, however it is left.

    Args:
        runtime_dir, data_dir: as in `EngineContext`.
        left: takes the names of what could not be removed.

    Raises:
        EngineUnavailable: none of its engines can be used.
    """
    async with AsyncExitStack() as stack:
        channel = Channel(runtime_dir / "channel", lease_seconds=profile.lease_seconds)
        await stack.enter_async_context(channel)
        context = EngineContext(
            run_id=run_id,
            runtime_dir=runtime_dir,
            data_dir=data_dir,
            cache_dir=cache_dir(),
            channel=channel,
            payload_writes=True,
        )
        engines, missing = await enter_engines(profile, stack, context, skip=True)
        bed = Bed(context, engines, left=left)
        async with background(*(lambda engine=engine: bed.watch(engine) for engine in engines.values())):
            try:
                await bed.prepare(profile.workloads, missing)
                yield bed
            finally:
                with anyio.CancelScope(shield=True):
                    await bed.clear()
