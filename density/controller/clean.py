"""Remove what dead runs left, wherever it is; never what a live run needs, unless asked for.

Engines are asked first, by label. Then goes what has lost its engine: shims, processes, cgroups. Files go last, and
not those of a run of which something is left: sockets, overlays. `density.controller.dead_runs` says which runs are
dead.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from density.controller.data import data_base, data_path
from density.controller.dead_runs import Judge
from density.controller.engines import LXC, real_engine
from density.controller.host_lock import CLEANING, NAME, Holder, try_lock
from density.controller.intent import NEW as UNWRITTEN
from density.controller.intent import Intent, Place, endpoints_asked, fulfil, intent_path
from density.controller.orphans import Containers, containers_of, end_shims_of, mounts_of
from density.controller.paths import NEW, cache_dir, directories, is_alive, make_base, runtime_base
from density.engines.base import Engine, EngineContext
from density.errors import EngineUnavailable, UsageError, in_short
from density.host import processes, traces
from density.host.processes import run_behind
from density.host.removing import remove_all
from density.host.slice import find_runs, remove_stale
from density.payload.channel import Channel
from density.payload.guests.packages import SCRATCH as UNPACKING
from density.profile.spec import Endpoints
from density.threads import in_thread

MakeEngine = Callable[[Place, EngineContext], Engine]
_CLEANER = ".clean"
_CONTAINERS = Place("libvirt", LXC)
"""Looked at beside libvirt's default endpoint; most hosts have no driver for them, of which nothing need be said."""
_NAME = re.compile(r"[A-Za-z0-9-]+")
_SCRATCH = re.compile(r"[\w-]+\.[a-z0-9_]{8}")
"""How directories of the cache are called in which something was being made."""
_SCRATCH_SECONDS = 3600.0
_NEW_SECONDS = 60.0
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One place that was looked at: an engine, the processes, the slices, the files.

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
    """What a clean-up did.

    Attributes:
        spared: live runs that it kept away from.
        unproven: runs that it kept away from, because names alone say that they were density's.
        unsure: runs that it kept away from, because they may be alive for another user.
        holder: who of another user runs something; None where nobody does.
        open: runs that may still have something where nobody answered.
    """

    parts: tuple[Part, ...]
    spared: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    holder: Holder | None = None
    open: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """Everything that could not be removed."""
        return tuple(name for part in self.parts for name in part.left)


def places_of(endpoints: Endpoints) -> tuple[Place, ...]:
    """Where a run with these endpoints would have its containers and domains, and libvirt's containers by default."""
    docker, libvirt = endpoints_asked(endpoints)
    beside = () if endpoints.libvirt else (_CONTAINERS,)
    return (Place("docker", docker), Place("libvirt", libvirt), *beside)


def make_engine(place: Place, context: EngineContext) -> Engine:
    """The real one; raises as `real_engine`."""
    return real_engine(place.engine, context, place.endpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is cleaned: this host, as this user; tests have theirs.

    Attributes:
        base: the runtime base; None: this user's.
        root: the host's root directory.
        engines: makes them.
        lock: name of the host's lock; None: it is not held, which is for what is asked for by one run's id alone. Other
            runs need no protection from that, because nothing of theirs is looked for; it keeps them from starting
            while a clean-up disturbs what they measure, which an engine that lets it wait for minutes does not.
    """

    base: Path | None = None
    root: Path = Path("/")
    engines: MakeEngine = make_engine
    lock: str | None = NAME


async def clean(
    run_id: str | None = None, *, everything: bool = False, where: Sequence[Place] = (), site: Site = Site()
) -> CleanReport:
    """Remove what density left behind.

    Args:
        run_id: this run's alone, also where it is alive; None: that of every run that is dead.
        everything: that of live runs too.
        where: engines to look at, beside those that the runs themselves declared.
        site: what is cleaned.

    An engine that cannot be used is a part of the report.

    Raises:
        UsageError: not a run id, or the runtime base is someone else's.
    """
    if run_id is not None and not _NAME.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is not a run id; `density runs` lists them")
    if run_id is None and site.lock is None:
        raise ValueError("which runs are dead is known only with the host's lock")
    base = site.base or runtime_base()
    await in_thread(make_base, base)
    with try_lock(CLEANING, name=site.lock) if site.lock else nullcontext() as holder:
        judge = await in_thread(lambda: Judge(base, run_id, everything=everything, holder=holder))
        return await _Cleaning(judge, base, site).done(where)


class _Cleaning:
    """One clean-up, place by place.

    Attributes:
        stuck: runs of which something could not be removed.
        unseen: runs that declared a place which did not answer.
        ambiguous: runs of which a trace may be a live run's, so that it is for the next time.
        unlisted: runs of which a Docker that they declared lists no container any more.
    """

    def __init__(self, judge: Judge, base: Path, site: Site) -> None:
        self._judge = judge
        self._base = base
        self._root = site.root
        self._engines = site.engines
        self.stuck: set[str] = set()
        self.unseen: set[str] = set()
        self.ambiguous: set[str] = set()
        self.unlisted: set[str] = set()

    async def done(self, where: Sequence[Place]) -> CleanReport:
        """Engines first: what they still hold needs its files; then what lost its engine, then the rest."""
        judge = self._judge
        dead = await in_thread(judge.dead, judge.on_record)
        declared_places = [place for name in dead if name in judge.intents for place in judge.intents[name].places]
        wanted = [place for place in dict.fromkeys((*where, *declared_places)) if place.engine != "native"]
        containers = await in_thread(containers_of, dead, judge.intents, self._root)
        found = [await self._engine(place, wanted) for place in wanted]
        parts = [part for part in found if part]
        await in_thread(judge.dead, find_runs(self._root))  # a slice proves a run, also to what comes before the slices
        orphaned = {
            name: those for name, those in containers.items() if name in self.unlisted - self.stuck - self.unseen
        }
        shims = await self._shims(orphaned)
        parts += [shims, await self._processes(), await self._slices(), await self._mounts(orphaned)]
        parts.append(await in_thread(self._files))
        open_ = self.ambiguous | (self.unseen if judge.run_id else self.unseen | judge.unread)
        for name in set(await in_thread(judge.dead, judge.on_record)) - self.stuck - open_:
            await in_thread(fulfil, name)
        return CleanReport(
            parts=tuple(parts),
            spared=tuple(sorted(judge.spared)),
            unproven=tuple(sorted(judge.unproven - judge.proven)),
            unsure=tuple(sorted(judge.unsure)),
            holder=judge.holder if judge.unsure else None,
            open=tuple(sorted(open_ - judge.spared)),
        )

    async def _engine(self, place: Place, wanted: Sequence[Place]) -> Part | None:
        name = _name(place, wanted)
        declared_here = [name for name, each in self._judge.intents.items() if place in each.places]
        removed: list[str] = []
        left: list[str] = []
        problem = ""
        directory = self._base / _CLEANER
        context = EngineContext(
            run_id=CLEANING,
            runtime_dir=directory,
            data_dir=data_base() / _CLEANER,
            cache_dir=cache_dir(),
            channel=Channel(directory),
        )
        try:
            async with self._engines(place, context) as engine:
                labelled = {each.run_id for each in await engine.labelled()}
                for run_id in await in_thread(self._judge.dead, labelled.union(declared_here)):
                    reaped = await engine.reap(run_id)
                    removed += (*reaped.removed, *reaped.files)
                    left += reaped.left
                    problem = problem or reaped.problem
                    self.stuck |= {run_id} if reaped.left else set()
                    self.unlisted |= {run_id}.intersection(declared_here) if place.engine == "docker" else set()
        except EngineUnavailable as error:
            concerned = set(await in_thread(self._judge.dead, declared_here)).intersection(declared_here)
            gone_for_good = not await in_thread(_may_come_back, place)
            self.unseen |= set() if gone_for_good else concerned
            self.unlisted |= concerned if gone_for_good and place.engine == "docker" else set()
            if place == _CONTAINERS and not concerned:
                return None
            return Part(name=name, removed=tuple(removed), left=tuple(left), unavailable=str(error))
        except Exception as error:  # noqa: BLE001 — a fault in one engine is no reason to leave what the others hold
            self.stuck.update(await in_thread(self._judge.dead, self._judge.on_record))
            left.append(f"what {name} may still hold ({in_short(error)})")
        finally:
            await in_thread(lambda: shutil.rmtree(directory, ignore_errors=True))
        return Part(name=name, removed=tuple(removed), left=tuple(left), problem=problem)

    async def _shims(self, orphaned: Mapping[str, Containers]) -> Part:
        removed, left = await end_shims_of(orphaned, root=self._root) if orphaned else ((), {})
        self.stuck.update(left.values())
        return Part(name="shims", removed=removed, left=tuple(left))

    async def _mounts(self, orphaned: Mapping[str, Containers]) -> Part:
        """Those that stay once everything that was mounted for something is gone."""
        left = await mounts_of(orphaned, root=self._root)
        self.stuck.update(left.values())
        problem = "no engine lists their containers any more: restart the daemon, or unmount them" if left else ""
        return Part(name="mounts", left=tuple(left), problem=problem)

    async def _processes(self) -> Part:
        """Payloads and machines that no engine knows any more."""
        runs: set[str] = set()

        async def orphans() -> dict[int, str]:
            found = await in_thread(self._orphans)
            runs.update(found.values())
            return found

        seen, left = await processes.end_all(
            orphans, lambda words: run_behind(words) in runs, grace_seconds=_GRACE_SECONDS
        )
        self.stuck.update(left.values())
        names = {pid: f"process {pid} of run {run_id}" for pid, run_id in {**seen, **left}.items()}
        removed = tuple(names[pid] for pid in seen if pid not in left)
        return Part(name="processes", removed=removed, left=tuple(names[pid] for pid in left))

    def _orphans(self) -> dict[int, str]:
        """Processes of dead runs: pid -> run."""
        try:
            found = {pid: run_id for pid, words in processes.command_lines() if (run_id := run_behind(words))}
        except OSError:
            return {}
        dead = self._judge.dead(found.values(), by_name=True)
        return {pid: run_id for pid, run_id in found.items() if run_id in dead}

    async def _slices(self) -> Part:
        removed: list[str] = []
        left: list[str] = []
        for run_id in await in_thread(lambda: self._judge.dead(find_runs(self._root))):
            gone, stays = await remove_stale(run_id, root=self._root)
            removed += gone
            left += stays
            self.stuck |= {run_id} if stays else set()
        return Part(name="slices", removed=tuple(removed), left=tuple(left))

    def _remember(self, run_id: str) -> None:
        """Leave what names this run for the next time: its intent, or its directory where it declared nothing."""
        intent = self._judge.intents.get(run_id)
        if intent is None:
            self.stuck.add(run_id)
        elif any(place.engine == "libvirt" for place in intent.places):
            self.ambiguous.add(run_id)

    def _files(self) -> Part:
        """Directories of runs, what libvirt left of their domains, and what was being made when density died."""
        judge, where = self._judge, traces.places(self._root)
        paths: list[Path] = []
        # What is stuck still needs its files, such as overlays.
        for run_id in set(judge.dead({*traces.runs(where), *judge.on_record}, by_name=True)) - self.stuck:
            found = traces.find(run_id, where)
            mine = set(found).intersection(traces.find(run_id, where, alive=judge.alive()))
            if len(mine) < len(found):
                self._remember(run_id)
            paths += mine
        for run_id in set(judge.dead(judge.on_record)) - self.stuck:
            paths += {*directories(self._base, run_id), data_path(run_id), *_own(judge.intents.get(run_id))}
        if judge.run_id is None:
            unwritten = intent_path("").parent.glob(f"*{UNWRITTEN}")
            new = [path for path in self._base.glob(f"{NEW}*") if not is_alive(path)]
            paths += _old((*new, *unwritten), _NEW_SECONDS)
            scratch = [path for path in cache_dir().glob("*.*") if _SCRATCH.fullmatch(path.name)]
            scratch += [path for place in _temporary(self._root) for path in place.glob(f"{UNPACKING}*")]
            paths += [path for path in _old(scratch, _SCRATCH_SECONDS) if path.is_dir()]
        there = [path for path in dict.fromkeys(sorted(paths)) if path.is_symlink() or path.exists()]
        left = remove_all(there)
        self.stuck |= {run_id for run_id in judge.on_record for path in left if run_id in str(path)}
        removed = tuple(str(path) for path in there if path not in left)
        return Part(name="files", removed=removed, left=tuple(map(str, left)))


def _name(place: Place, wanted: Sequence[Place]) -> str:
    """Of a part; with the endpoint from an engine's second one on."""
    if place == _CONTAINERS:
        return "libvirt's containers"
    first = next(each for each in wanted if each.engine == place.engine)
    return place.engine if place == first else f"{place.engine} at {place.endpoint}"


def _temporary(root: Path) -> set[Path]:
    """Where temporary directories may have been made; `tempfile` itself would try, which fails on a full disk."""
    places = {root / "tmp", root / "var/tmp"}
    return places | {Path(place)} if (place := os.environ.get("TMPDIR")) else places


def _may_come_back(place: Place) -> bool:
    """Whether an engine that does not answer may do so again: not where the directory of its socket is gone. Blocks."""
    parts = urlsplit(place.endpoint)
    sockets = parse_qs(parts.query).get("socket", [])
    sockets += [parts.path] if parts.scheme == "unix" else []
    return not sockets or any(Path(each).parent.is_dir() for each in sockets)


def _own(intent: Intent | None) -> set[Path]:
    """The directories that a run declared and that have its id for a name, as all have: nothing else is removed."""
    if intent is None:
        return set()
    return {each for each in intent.directories if each.name.removeprefix("density-") == intent.run_id}


def _old(paths: Iterable[Path], seconds: float) -> list[Path]:
    """Those of this user that were last changed longer ago than this."""
    found = []
    for path in paths:
        try:
            status = path.lstat()
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > seconds:
                found.append(path)
        except OSError:
            continue
    return found
