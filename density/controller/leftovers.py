"""What dead runs have left on this host, seen by the next run: it goes on, and says what that means for its figures."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from density.controller.dead_runs import Judge
from density.engines.base import Engine
from density.errors import EngineUnavailable
from density.host.processes import command_lines, run_behind
from density.host.slice import find_runs
from density.model import EngineName, Labelled
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
    """

    runs: tuple[str, ...] = ()
    things: Counter[str]
    running: int = 0

    @property
    def words(self) -> str:
        """One sentence for the person; empty where there is nothing."""
        if not self.runs:
            return ""
        of = f"run{'s' if len(self.runs) > 1 else ''} {format_some(self.runs)}"
        what = ", ".join(f"{count} {kind}" for kind, count in self.things.items()) or "a record alone"
        means = (
            f"{self.running} of these still run, and what they take is counted as the host's own, not as this run's"
            if self.running
            else "none of it runs, so the figures of this run are right"
        )
        return f"left on this host by {of}: {what}; {means}; remove it with: density clean"


async def find_leftovers(engines: Iterable[Engine], *, run_id: str, base: Path, root: Path = Path("/")) -> Leftovers:
    """Look at what can be seen at once: these engines' labels, processes, slices, directories, what runs declared.

    Args:
        engines: of this run; entered.
        run_id: of this run.
        base: the runtime base.
        root: the host's root directory.
    """
    labelled: list[tuple[str, Labelled]] = []
    for engine in engines:
        if engine.name in _KINDS:
            with suppress(EngineUnavailable):  # which this run finds out for itself
                labelled += [(_KINDS[engine.name], each) for each in await engine.labelled()]
    return await in_thread(lambda: _judged(labelled, run_id=run_id, base=base, root=root))


def _judged(labelled: list[tuple[str, Labelled]], *, run_id: str, base: Path, root: Path) -> Leftovers:
    judge = Judge(base)
    slices, processes = find_runs(root), _processes()
    found = {each.run_id for _, each in labelled}.union(slices)
    dead = set(judge.dead(found.union(judge.on_record))) | set(judge.dead(processes, by_name=True))
    dead.discard(run_id)
    mine = [(kind, each) for kind, each in labelled if each.run_id in dead]
    running = [each for _, each in mine if each.running]
    # A machine that its engine lists is a process too.
    alone = dead - {each.run_id for each in running}
    things = Counter(kind if " " not in each.name else "other objects of Docker's" for kind, each in mine)
    things["processes"] = sum(processes[name] for name in alone)
    things["slices"] = len(slices & dead)
    things["directories"] = sum((base / name).is_dir() for name in dead)
    return Leftovers(runs=tuple(sorted(dead)), things=+things, running=len(running) + things["processes"])


def _processes() -> Counter[str]:
    """Processes by their run."""
    with suppress(OSError):
        return Counter(run_id for _, words in command_lines() if (run_id := run_behind(words)))
    return Counter()
