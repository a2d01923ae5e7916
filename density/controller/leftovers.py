"""What dead runs have left on this host, seen by the next run: it goes on, and says what that means for its figures."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from density.controller.data import data_base
from density.controller.dead_runs import Judge
from density.controller.intent import Place, endpoints_asked
from density.engines.base import Engine
from density.errors import EngineUnavailable
from density.host.processes import command_lines, run_behind
from density.host.slice import residents
from density.model import EngineName, Labelled
from density.profile.spec import Endpoints
from density.threads import in_thread
from density.units import format_some

_KINDS: Mapping[EngineName, str] = {"docker": "containers", "libvirt": "domains"}
"""What engines hold that outlives a run; plain processes are seen without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Things of dead runs.

    Attributes:
        runs: which, sorted.
        things: how many there are of each kind, such as `containers`.
        running: how many of them take memory or CPU time now.
        unseen: where these runs may have more, and nobody looked: engines that this run does not use, or that did not
            answer.
    """

    runs: tuple[str, ...] = ()
    things: Counter[str]
    running: int = 0
    unseen: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """One sentence for the person; empty where there is nothing."""
        if not self.runs:
            return ""
        of = f"run{'s' if len(self.runs) > 1 else ''} {format_some(self.runs)}"
        what = ", ".join(f"{count} {kind}" for kind, count in self.things.items()) or "a record alone"
        return "; ".join((f"left on this host by {of}: {what}", *self._means(), "remove it with: density clean"))

    def _means(self) -> Iterable[str]:
        if self.running:
            taken = "what they take is counted as the host's own, not as this run's"
            yield f"{self.running} of these still run, and {taken}"
        elif self.unseen:
            yield "none of it was seen to run"
        else:
            yield "none of it runs, so the figures of this run are right"
        if self.unseen:
            yield f"not looked at: {format_some(self.unseen)}, where what runs is counted as the host's own, too"


async def find_leftovers(
    engines: Iterable[Engine],
    *,
    run_id: str,
    base: Path,
    endpoints: Endpoints = Endpoints(),
    root: Path = Path("/"),
) -> Leftovers:
    """Look at what can be seen at once: these engines' labels, processes, slices, directories, what runs declared.

    Args:
        engines: of this run; entered.
        run_id: of this run.
        base: the runtime base.
        endpoints: where these engines are asked.
        root: the host's root directory.
    """
    where = dict(zip(("docker", "libvirt"), endpoints_asked(endpoints), strict=True))
    labelled: list[tuple[str, Labelled]] = []
    asked: set[Place] = set()
    for engine in engines:
        if engine.name in _KINDS:
            try:
                labelled += [(_KINDS[engine.name], each) for each in await engine.labelled()]
            except EngineUnavailable:  # which this run finds out for itself
                continue
            asked.add(Place(engine.name, where[engine.name]))
    return await in_thread(lambda: _judged(labelled, asked, run_id=run_id, base=base, root=root))


def _judged(
    labelled: list[tuple[str, Labelled]], asked: set[Place], *, run_id: str, base: Path, root: Path
) -> Leftovers:
    judge = Judge(base)
    slices, looked = residents(root), _processes()
    processes: Mapping[str, int] = looked or {}
    found = {each.run_id for _, each in labelled}.union(slices)
    dead = set(judge.dead(found.union(judge.on_record))) | set(judge.dead(processes, by_name=True))
    dead.discard(run_id)
    mine = [(kind, each) for kind, each in labelled if each.run_id in dead]
    running = [each for _, each in mine if each.running]
    # A machine that its engine lists is a process too.
    alone = dead - {each.run_id for each in running}
    things = Counter(kind if " " not in each.name else "other objects of Docker's" for kind, each in mine)
    things["processes"] = sum(max(processes.get(name, 0), slices.get(name, 0)) for name in alone)
    things["slices"] = len(dead.intersection(slices))
    things["directories"] = sum(path.is_dir() for path in _directories(judge, dead, base))
    return Leftovers(
        runs=tuple(sorted(dead)),
        things=+things,
        running=len(running) + things["processes"],
        unseen=(*_unseen(judge, dead, asked), *(("this host's processes",) if looked is None else ())),
    )


def _directories(judge: Judge, dead: set[str], base: Path) -> set[Path]:
    """Where they kept sockets, and what grows."""
    declared = {path for name in dead if name in judge.intents for path in judge.intents[name].directories}
    return declared.union(*({base / name, data_base() / name} for name in dead))


def _unseen(judge: Judge, dead: set[str], asked: set[Place]) -> list[str]:
    """Engines that these runs declared and that were not asked; of what cannot be read, nobody knows them."""
    places = {place for name in dead if name in judge.intents for place in judge.intents[name].places}
    missed = sorted(f"{each.engine} at {each.endpoint}" for each in places - asked if each.engine in _KINDS)
    return missed + [f"whatever engines run {name} used" for name in sorted(dead & judge.unread)]


def _processes() -> Counter[str] | None:
    """Processes by their run; None where they cannot be looked at."""
    try:
        return Counter(run_id for _, words in command_lines() if (run_id := run_behind(words)))
    except OSError:
        return None
