"""Which limits of its own an instance had reached when it ended: by the kernel's log, else by what the engine says."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from density.host.kernel_log import ForkDenied, KernelLog, Logged, MemoryKill
from density.model import OwnLimit

_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may use; 0: no limit of its own, or not known."""

    memory_bytes: float = 0.0
    tasks: float = 0.0
    files: float = 0.0
    cpus: float = 0.0


class KernelBook:
    """What the kernel has logged of a run's instances and no failure has been put down to yet."""

    def __init__(self, log: KernelLog | None = None) -> None:
        self._log = log or KernelLog()
        self._waiting: deque[Logged] = deque(maxlen=_KEPT)

    @property
    def readable(self) -> bool:
        """Whether the log can be read at all; else nothing is known rather than nothing having happened."""
        return self._log.readable

    def take(self, *, mark: str = "", pid: int = 0) -> list[Logged]:
        """What was logged of one instance, which is forgotten then.

        Args:
            mark: a text that is in the names of the instance's cgroups and in no other's, such as a container's id.
            pid: of its process; 0: not known.
        """
        self._waiting.extend(self._log.read())
        mine = [each for each in self._waiting if _is_of(each, mark, pid)]
        for each in mine:
            self._waiting.remove(each)
        return mine


def _is_of(logged: Logged, mark: str, pid: int) -> bool:
    if mark and mark in logged.cgroup:
        return True
    return bool(pid) and isinstance(logged, MemoryKill) and logged.pid == pid


def reached(limits: Limits, logged: Sequence[Logged], *, mark: str) -> tuple[OwnLimit, ...]:
    """The limits of its own that an instance reached, as the kernel logged them, the likeliest cause first.

    Args:
        limits: what the instance may use.
        logged: what was logged of it.
        mark: a text that is in the names of its cgroups and in no other's.
    """
    found = []
    kills = [each for each in logged if isinstance(each, MemoryKill) and each.limited and mark in each.limited]
    if kills:
        last = kills[-1]
        limit = last.limit_bytes or limits.memory_bytes
        found.append(OwnLimit("memory.instance", last.used_bytes or limit, limit, len(kills)))
    denied = sum(isinstance(each, ForkDenied) for each in logged)
    if denied and limits.tasks:
        found.append(OwnLimit("tasks.instance", limits.tasks, limits.tasks, denied))
    return tuple(found)


def candidates(limits: Limits, kind: str) -> tuple[OwnLimit, ...]:
    """The limits of its own that fit what an instance said last, where no counter can tell whether it was they."""
    named = {"too_many_files": ("files.instance", limits.files), "try_again": ("tasks.instance", limits.tasks)}
    ceiling, limit = named.get(kind, ("", 0.0))
    return (OwnLimit(ceiling, 0.0, limit),) if limit else ()
