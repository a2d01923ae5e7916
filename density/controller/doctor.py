"""Looks at a host as a run would find it: engines, sensors, what earlier runs left; starts and changes nothing."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from density.controller.data import data_base
from density.controller.doctor_runs import Booted, Earlier, last_booted, last_measured
from density.controller.engines import REAL, real_engine
from density.controller.equip import ThreadedHost, engine_disks
from density.controller.paths import cache_dir, known_runs, runtime_base
from density.controller.preflight import find_problems, idle_context
from density.engines.simulated import HostModel
from density.errors import EngineUnavailable
from density.host.hierarchies import cgroup_version, find_hierarchies
from density.host.reader import HostReader
from density.host.slice_systemd import manages
from density.model import EngineInfo, EngineName
from density.payload.build import COMPILERS, REMEDY
from density.payload.guests.kernel import VARIABLE, find_kernel, is_kernel
from density.profile.spec import Profile, Slice

BETWEEN_READINGS_SECONDS = 0.55
"""Shares of CPU are told from two readings."""
_BRIDGES = {("docker", "bridge"): "docker0", ("libvirt", "default"): "virbr0"}
"""Bridges of networks that every installation has; those of others are known once a run has looked at them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether something is as a run needs it, and in words."""

    ok: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAnswer:
    """What an engine says of itself; where it does not answer, `problem` says why and `remedy` how to get it.

    Attributes:
        refused: why workloads of the profile cannot run on it, a sentence each.
    """

    name: EngineName
    info: EngineInfo | None = None
    problem: str = ""
    remedy: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A host as it was found.

    Attributes:
        values: the sensors' values, by the names of `density.host`.
        unavailable: sensor -> why it cannot be read.
        payload, slice, kernel: whether a run can have them.
        earlier: the run that measured the profile's instances; None where there is none.
        booted: how VMs boot here, as the last run with any found out.
        runs: what earlier runs left: id -> whether that run is alive.
    """

    facts: Mapping[str, str | float]
    values: Mapping[str, float]
    unavailable: Mapping[str, str]
    engines: tuple[EngineAnswer, ...] = ()
    payload: Answer
    slice: Answer
    kernel: Answer
    earlier: Earlier | None = None
    booted: Booted | None = None
    runs: Mapping[str, bool]


async def examine(profile: Profile, *, runs_dir: Path) -> Examination:
    """Look at this host (at the simulated one, if that is what the profile runs on)."""
    simulated = profile.engines == ("simulated",)
    earlier = await run_sync(last_measured, profile, runs_dir)
    engines = () if simulated else tuple([await _ask(name, profile) for name in REAL])
    if simulated:
        model = simulated_host(profile)
        facts, values, unavailable = model.facts(), model.values(), {}
    else:
        disks, bridges = _disks(engines, profile, runs_dir), _bridges(profile, earlier)
        reader = HostReader(disks=disks, bridges=bridges, daemons=_daemons(engines))
        facts, values, unavailable = reader.facts(), await _read(reader), reader.unavailable()
    addresses = {f"network.bridge.{device}.addresses_count": count for device, count in _networks(earlier).items()}
    return Examination(
        facts=facts,
        values={**values, **addresses, **_pools(earlier), **slice_values(profile.slice)},
        unavailable=unavailable,
        engines=engines,
        payload=await run_sync(payload_answer, cache_dir()),
        slice=await run_sync(slice_answer, Path("/")),
        kernel=await run_sync(kernel_answer, cache_dir(), Path("/")),
        earlier=earlier,
        booted=await run_sync(last_booted, runs_dir),
        runs=await run_sync(known_runs, runtime_base()),
    )


def slice_values(limits: Slice) -> dict[str, float]:
    """What sensors would read of the profile's slice while it is empty."""
    values: dict[str, float] = {}
    if limits.memory_bytes:
        values |= {"slice.memory_bytes": 0.0, "slice.memory_limit_bytes": float(limits.memory_bytes)}
    if limits.tasks:
        values |= {"slice.tasks": 0.0, "slice.tasks_limit": float(limits.tasks)}
    return values


def simulated_host(profile: Profile) -> HostModel:
    """The profile's simulated host, before anything runs on it."""
    return HostModel(profile.simulated, slice_=profile.slice, workloads=profile.workloads, clock=lambda: 0.0)


def slice_answer(root: Path) -> Answer:
    """Whether a run can have its slice; nothing is made to find out."""
    hierarchies = find_hierarchies(root)
    if cgroup_version(hierarchies) == 0:
        return Answer(ok=False, words="no cgroup hierarchy that accounts memory is mounted here")
    if manages(root):
        ok = os.geteuid() == 0
        return Answer(ok=ok, words="as a unit of systemd" if ok else "only root may start its unit")
    # Named hierarchies of v1 are left out: engines want the slice there, but do not fail without it.
    closed = [each.directory for each in hierarchies if each.controllers and not os.access(each.directory, os.W_OK)]
    if closed:
        return Answer(ok=False, words=f"{closed[0]} cannot be written; a slice needs root")
    return Answer(ok=True, words="as directories")


def kernel_answer(cache: Path, root: Path) -> Answer:
    """Whether there is a Linux kernel for VMs to boot."""
    if named := os.environ.get(VARIABLE):
        ok = is_kernel(Path(named))
        return Answer(ok=ok, words=named if ok else f"{VARIABLE} names {named}, which is no kernel that can be read")
    if found := find_kernel(cache, root):
        return Answer(ok=True, words=str(found))
    how = f"none yet: a run gets the distribution's by apt-get download; or name one in {VARIABLE}"
    return Answer(ok=False, words=how)


def payload_answer(cache: Path) -> Answer:
    """Whether the program inside instances is there, or can be made."""
    if cache.is_dir() and any(os.access(path, os.X_OK) for path in cache.glob("payload-*") if path.is_file()):
        return Answer(ok=True, words="compiled")
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler:
        return Answer(ok=True, words=f"a run compiles it with {compiler}")
    return Answer(ok=False, words=f"there is no C compiler: {REMEDY}")


def nearest(path: Path) -> Path:
    """The path itself, or the nearest of its parents that exists: the file system that it would be on."""
    absolute = path.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())


async def _ask(name: EngineName, profile: Profile) -> EngineAnswer:
    try:
        engine = real_engine(name, idle_context("doctor"), profile.endpoints)
        if name == "native":
            # Entering it starts a process; it needs nothing that is not here.
            info = EngineInfo(name=name, version=os.uname().release, endpoint="fork")
            return EngineAnswer(name=name, info=info, refused=await find_problems(engine, profile.workloads))
        async with engine:
            refused = await find_problems(engine, profile.workloads)
            return EngineAnswer(name=name, info=await engine.describe(), refused=refused)
    except EngineUnavailable as error:
        return EngineAnswer(name=name, problem=error.reason, remedy=error.remedy)


async def _read(reader: HostReader) -> dict[str, float]:
    host = ThreadedHost(reader)
    await host.read(thorough=False)
    await anyio.sleep(BETWEEN_READINGS_SECONDS)
    return dict((await host.read(thorough=True)).values)


def _daemons(engines: tuple[EngineAnswer, ...]) -> dict[str, int]:
    return {name: pid for answer in engines if answer.info for name, pid in answer.info.daemons.items()}


def _disks(engines: tuple[EngineAnswer, ...], profile: Profile, runs_dir: Path) -> dict[str, Path]:
    """The file systems that a run writes to; of several labels of one the reader takes the first."""
    found = [answer.info for answer in engines if answer.info and answer.name in profile.engines]
    roots = {label: path for info in found for label, path in engine_disks(info).items()}
    data = Path(profile.endpoints.data) if profile.endpoints.data else data_base()
    return {**roots, "data": nearest(data), "runs": nearest(runs_dir), "runtime": nearest(runtime_base())}


def _networks(earlier: Earlier | None) -> dict[str, int]:
    return {device: count for device, count in earlier.networks.items() if count} if earlier else {}


def _pools(earlier: Earlier | None) -> dict[str, float]:
    """Networks without a bridge, as the profile's last run found them, with none of its instances on them."""
    values: dict[str, float] = {}
    for name, pool in (earlier.state.pools if earlier else {}).items():
        values[f"network.pool.{name}.instances_count"] = 0.0
        values[f"network.pool.{name}.addresses_count"] = float(pool.addresses)
    return values


def _bridges(profile: Profile, earlier: Earlier | None) -> tuple[str, ...]:
    usual = [_BRIDGES.get((workload.engine, workload.network)) for workload in profile.workloads]
    return tuple(dict.fromkeys([*(earlier.networks if earlier else ()), *filter(None, usual)]))
