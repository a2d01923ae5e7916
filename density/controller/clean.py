"""Remove what runs left behind, and what no one remembers; never what a live run needs, unless asked for."""

import re
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from density.controller.data import data_base, data_path, kept_data, remove_data
from density.controller.engines import LXC, REAL, real_engine
from density.controller.intent import declared, read_intent
from density.controller.paths import (
    alive_runs,
    cache_dir,
    directories,
    known_runs,
    make_base,
    none_alive,
    runtime_base,
)
from density.engines.base import Engine, EngineContext
from density.errors import DensityError, EngineUnavailable, UsageError
from density.host.slice import remove_stale
from density.model import EngineName
from density.payload.channel import Channel
from density.profile.spec import Endpoints
from density.threads import in_thread

MakeEngine = Callable[[EngineContext], Engine]
RemoveSlices = Callable[[str | None], Awaitable[tuple[Sequence[str], Sequence[str]]]]
_CLEANER = ".clean"
_CONTAINERS = "libvirt's containers"
"""Looked at beside libvirt's default endpoint; most hosts have no driver for them, of which nothing need be said."""
_RUN_ID = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One place that was looked at: an engine, the slices, the runtime files.

    Attributes:
        unavailable: why it was not looked at.
        problem: why something is left, where the engine itself is the reason.
    """

    name: str
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    unavailable: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanReport:
    """What a clean-up did; `spared` are the live runs that it kept away from."""

    parts: tuple[Part, ...]
    spared: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """Everything that could not be removed."""
        return tuple(name for part in self.parts for name in part.left)


async def clean(
    run_id: str | None = None,
    *,
    everything: bool = False,
    endpoints: Endpoints = Endpoints(),
    base: Path | None = None,
    engines: Mapping[str, MakeEngine] | None = None,
    slices: RemoveSlices = remove_stale,
) -> CleanReport:
    """Remove what density left behind.

    Args:
        run_id: this run's alone, also where it is alive; None: that of every run that is not alive.
        everything: that of live runs too.
        endpoints: where the engines are.
        base: the runtime base; None: this user's.
        engines: name -> how to make it; None: the real ones.
        slices: removes the slices of a run or of all, and says what it removed and what is left.

    An engine that cannot be used is a part of the report. While another run is alive, only runs that have a runtime
    directory are cleaned, because what a live run is about to launch cannot be told from leftovers.

    Raises:
        UsageError: not a run id, or the runtime base is someone else's.
    """
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is not a run id; `density runs` lists them")
    base = base or runtime_base()
    make_base(base)
    makers = _makers(endpoints) if engines is None else engines
    with ExitStack() as stack:
        alone = run_id is None and stack.enter_context(none_alive(base))
        known = dict.fromkeys(kept_data(), False) | known_runs(base)
        spared = () if run_id or everything else tuple(name for name, alive in known.items() if alive)
        runs = _runs(run_id, known, anything=everything or alone)
        directory = base / _CLEANER
        context = EngineContext(
            run_id="clean",
            runtime_dir=directory,
            data_dir=data_base() / _CLEANER,
            cache_dir=cache_dir(),
            channel=Channel(directory),
        )
        try:
            found = [await _reap(name, partial(make, context), runs) for name, make in makers.items()]
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        parts = [part for part in found if not (part.name == _CONTAINERS and part.unavailable)]
        parts.append(await _remove_slices(slices, runs))
        # What is left may still need its files: sockets, overlays.
        if not any(part.left for part in parts):
            parts.append(await in_thread(partial(_remove_files, base, runs, everything=everything)))
    return CleanReport(parts=tuple(parts), spared=spared)


def _runs(run_id: str | None, known: Mapping[str, bool], *, anything: bool) -> tuple[str | None, ...]:
    """The runs to clean; None stands for all there are."""
    if run_id is not None:
        return (run_id,)
    return (None,) if anything else tuple(name for name, alive in known.items() if not alive)


def _makers(endpoints: Endpoints) -> Mapping[str, MakeEngine]:
    makers: dict[str, MakeEngine] = {name: partial(_make, name, endpoints) for name in REAL}
    if not endpoints.libvirt:
        makers[_CONTAINERS] = partial(_make, "libvirt", replace(endpoints, libvirt=LXC))
    return makers


def _make(name: EngineName, endpoints: Endpoints, context: EngineContext) -> Engine:
    return real_engine(name, context, endpoints)


async def _reap(name: str, make: Callable[[], Engine], runs: Sequence[str | None]) -> Part:
    removed: list[str] = []
    left: list[str] = []
    problem = ""
    try:
        async with make() as engine:
            for run_id in runs:
                reaped = await engine.reap(run_id)
                removed += reaped.removed
                left += reaped.left
                problem = problem or reaped.problem
    except EngineUnavailable as error:
        return Part(name=name, removed=tuple(removed), left=tuple(left), unavailable=str(error))
    except Exception as error:  # noqa: BLE001 — a fault in one engine is no reason to leave what the others hold
        left.append(f"what {name} may still hold ({type(error).__name__}: {error})")
    return Part(name=name, removed=tuple(removed), left=tuple(left), problem=problem)


async def _remove_slices(remove: RemoveSlices, runs: Sequence[str | None]) -> Part:
    found = [await remove(run_id) for run_id in runs]
    removed = tuple(name for names, _ in found for name in names)
    return Part(name="slices", removed=removed, left=tuple(name for _, names in found for name in names))


def _remove_files(base: Path, runs: Sequence[str | None], *, everything: bool) -> Part:
    wanted = sorted({path for run_id in runs for path in directories(base, run_id)})
    for path in wanted:
        shutil.rmtree(path, ignore_errors=True)
    removed, left = remove_data([path for run in runs for path in _data_of(run, everything=everything)])
    left += tuple(str(path) for path in wanted if path.exists())
    removed += tuple(str(path) for path in wanted if not path.exists())
    return Part(name="files", removed=removed, left=left)


def _data_of(run_id: str | None, *, everything: bool) -> Iterator[Path]:
    """Where a run kept what grows: by habit and by its intent; of None, every run that is not alive."""
    intents = declared()
    spared = set() if everything else alive_runs()
    names = (run_id,) if run_id else sorted({*kept_data(), *intents}.difference(spared))
    for name in names:
        yield data_path(name)
        if name in intents:
            with suppress(DensityError):  # of another version; the usual place was looked at
                # What carries its id is its own alone.
                yield from (each for each in read_intent(intents[name]).directories if each.name == f"density-{name}")
