"""Puts a run's equipment together: the engines that its workloads need, the slice, the sensors."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from density.ceilings.reading import Bounds
from density.controller.data import data_directory, data_path
from density.controller.engines import enter_engines
from density.controller.equipment import Equipment
from density.controller.leftovers import find_leftovers
from density.controller.paths import cache_dir
from density.controller.watchdog import Watchdog
from density.engines.base import EngineContext
from density.engines.simulated import HostModel, SimulatedEngine
from density.host.host import facts
from density.host.protection import protected
from density.host.quick import QuickReader
from density.host.reader import HostReader
from density.host.reading import Sample
from density.host.slice import Slice
from density.host.slice_limits import SliceUnavailable
from density.host.slice_systemd import NoAnswer
from density.model import EngineInfo
from density.payload.background import background
from density.payload.channel import Channel
from density.profile.spec import Profile
from density.threads import in_thread

_DISK_FACTS = {
    "root_dir": "{}",
    "state_dir": "{}-state",
    "containerd_state_dir": "containerd-state",
    "log_dir": "{}-logs",
}
"""Facts of an `EngineInfo` that say where the engine writes for its instances: name -> label of the disk."""


class ThreadedHost:
    """The sensors of this host, read in a worker thread of their own so that a slow kernel does not stop the run."""

    def __init__(self, reader: HostReader) -> None:
        self._reader = reader
        self._quick = QuickReader()
        self._limiter = anyio.CapacityLimiter(1)

    async def read(self, *, thorough: bool) -> Sample:
        """As `density.controller.equipment.Host`; whoever waits for it can be cancelled at once."""
        read = partial(self._reader.sample, thorough=thorough)
        return await in_thread(read, limiter=self._limiter, abandon_on_cancel=True)

    def quick(self) -> Mapping[str, float]:
        """As `density.controller.equipment.Host`."""
        return self._quick.read()

    def facts(self) -> Mapping[str, str | float]:
        """As `density.controller.equipment.Host`."""
        return self._reader.facts()

    def add_bridges(self, devices: Sequence[str]) -> None:
        """As `density.controller.equipment.Host`."""
        self._reader.add_bridges(devices)

    def watch_engine(self, engine: EngineInfo) -> None:
        """As `density.controller.equipment.Host`."""
        self._reader.add_daemons(engine.daemons)
        self._reader.add_disks(engine_disks(engine))


def engine_disks(engine: EngineInfo) -> dict[str, Path]:
    """Where an engine writes for each of its instances: files, and the state of what runs, often in memory."""
    facts = engine.facts
    return {label.format(engine.name): Path(facts[fact]) for fact, label in _DISK_FACTS.items() if fact in facts}


def with_reserve(profile: Profile) -> Profile:
    """The profile with what it keeps of the host's memory as a number of bytes, for the record of the run."""
    if profile.engines == ("simulated",):
        total: float | str = profile.simulated.memory_bytes
    else:
        total = facts(Path("/")).get("memory_bytes", "")
    if isinstance(total, str):
        return profile
    return replace(profile, reserve=replace(profile.reserve, memory_bytes=int(profile.reserve.memory_of(total))))


@asynccontextmanager
async def equip(profile: Profile, *, run_id: str, runtime_dir: Path, run_dir: Path) -> AsyncGenerator[Equipment]:
    """The equipment of a run, for as long as this is entered.

    Args:
        runtime_dir: this run's own, for sockets; exists.
        run_dir: where the run's results go; its disk is watched.

    Raises:
        EngineUnavailable: an engine cannot be used (with `engines.missing = "skip"`: none of them can).
        UsageError: the directory for what grows cannot be made.
    """
    async with AsyncExitStack() as stack:
        if profile.engines == ("simulated",):
            yield await _simulated(profile, stack, run_id=run_id, runtime_dir=runtime_dir)
        else:
            yield await _real(profile, stack, run_id=run_id, runtime_dir=runtime_dir, run_dir=run_dir)


async def _simulated(profile: Profile, stack: AsyncExitStack, *, run_id: str, runtime_dir: Path) -> Equipment:
    host = HostModel(profile.simulated, slice_=profile.slice, workloads=profile.workloads, clock=anyio.current_time)
    context = EngineContext(
        run_id=run_id,
        runtime_dir=runtime_dir,
        data_dir=data_path(run_id),
        cache_dir=cache_dir(),
        channel=Channel(runtime_dir / "channel"),
    )
    engine = await stack.enter_async_context(SimulatedEngine(context, host=host))
    warnings = (
        ("slice.cpus is not enforced: a simulated host shares its CPU time freely",) if profile.slice.cpus else ()
    )
    return Equipment(profile=profile, engines={"simulated": engine}, host=host, pinger=engine, warnings=warnings)


async def _real(profile: Profile, stack: AsyncExitStack, *, run_id: str, runtime_dir: Path, run_dir: Path) -> Equipment:
    data_dir = stack.enter_context(data_directory(data_path(run_id, profile.endpoints.data)))
    channel = Channel(runtime_dir / "channel", lease_seconds=profile.lease_seconds)
    await stack.enter_async_context(channel)
    left: list[str] = []
    slice_, warnings = await _slice(profile, run_id, stack, left)
    disks = {"data": data_dir, "runs": run_dir, "runtime": runtime_dir}
    reader = HostReader(disks=disks, slice=slice_.paths if slice_ else None)
    context = EngineContext(
        run_id=run_id,
        runtime_dir=runtime_dir,
        data_dir=data_dir,
        cache_dir=cache_dir(),
        channel=channel,
        placement=slice_.placement() if slice_ else None,
        watched_seconds=profile.ramp.settle_seconds + profile.ramp.hold_seconds,
    )
    kill = slice_.kill if slice_ else int
    watchdog = Watchdog(QuickReader().read, Bounds(profile.reserve), cut=channel.cut, kill=kill)
    stack.enter_context(watchdog.watching())
    await stack.enter_async_context(background(watchdog.beating))
    engines, missing = await enter_engines(profile, stack, context, skip=profile.endpoints.missing == "skip")
    leftovers = await find_leftovers(
        engines.values(), run_id=run_id, base=runtime_dir.parent, endpoints=profile.endpoints
    )
    reasons = {w.name: str(missing[w.engine]) for w in profile.workloads if w.engine in missing}
    return Equipment(
        profile=profile.without(reasons),
        skipped=reasons,
        engines=engines,
        host=ThreadedHost(reader),
        pinger=channel,
        left=left,
        warnings=(*warnings, *filter(None, [leftovers.words])),
        populations=slice_.populations if slice_ else dict,
        kill=kill,
        watchdog=watchdog,
        protection=protected,
    )


async def _slice(
    profile: Profile, run_id: str, stack: AsyncExitStack, left: list[str]
) -> tuple[Slice | None, tuple[str, ...]]:
    """The run's slice; it is made without limits too, because the run's totals are read from it."""
    wanted = profile.slice
    slice_ = Slice(run_id, memory_bytes=wanted.memory_bytes, tasks=wanted.tasks, cpus=wanted.cpus)
    stack.callback(lambda: left.extend(slice_.left))
    try:
        await stack.enter_async_context(slice_)
    except SliceUnavailable as error:
        if wanted.memory_bytes or wanted.tasks or wanted.cpus:
            return None, (f"the slice's limits are not enforced: {error}",)
        return None, ((f"the run has no slice: {error}",) if isinstance(error, NoAnswer) else ())
    # Once the engines are left. A daemon that ended while it started an instance does not know of it any more.
    stack.push_async_callback(in_thread, slice_.kill)
    return slice_, ()
