"""The cgroup of one living process: what its own limits are, and how often the kernel held it back at them."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from density.host.daemons import parse_soft_limit
from density.host.hierarchies import find_hierarchies, parse_membership
from density.host.reading import parse_limit, parse_pairs


@dataclass(frozen=True, slots=True)
class Leaf:
    """Limits are 0 where there is none; counters are 0 where the kernel has none.

    Attributes:
        memory_refused: how often memory was at the limit and some had to be taken back first.
        tasks: the most at once where the kernel keeps that, else those now.
        tasks_denied: forks and threads that were refused.
        throttled, periods: periods in which it had used up its CPU quota, of all periods in which it ran.
    """

    memory_bytes: float = 0.0
    memory_limit_bytes: float = 0.0
    memory_refused: int = 0
    tasks: float = 0.0
    tasks_limit: float = 0.0
    tasks_denied: int = 0
    cpus_limit: float = 0.0
    throttled: int = 0
    periods: int = 0
    files: float = 0.0
    files_limit: float = 0.0


def read_leaf(pid: int, root: Path = Path("/")) -> Leaf:
    """Read the cgroup and the limits of a process; what cannot be read stays 0. Blocks."""
    process = root / "proc" / str(pid)
    memory, tasks, cpu = (_directory(process, root, controller) for controller in ("memory", "pids", "cpu"))
    throttling = parse_pairs(_text(cpu, "cpu.stat"), {"nr_throttled": "throttled", "nr_periods": "periods"})
    return Leaf(
        memory_bytes=_number(memory, "memory.current", "memory.usage_in_bytes"),
        memory_limit_bytes=_limit(memory, "memory.max", "memory.limit_in_bytes"),
        memory_refused=int(_number(memory, "memory.failcnt") or _event(memory, "memory.events")),
        tasks=_number(tasks, "pids.peak", "pids.current"),
        tasks_limit=_limit(tasks, "pids.max"),
        tasks_denied=int(_event(tasks, "pids.events")),
        cpus_limit=_cpus(cpu),
        throttled=int(throttling.get("throttled", 0)),
        periods=int(throttling.get("periods", 0)),
        files=float(_count(process / "fd")),
        files_limit=files_limit(pid, root),
    )


def files_limit(pid: int, root: Path = Path("/")) -> float:
    """Open files that a process may have; 0 where that is not known."""
    return parse_soft_limit(_text(root / "proc" / str(pid), "limits"), "Max open files") or 0.0


def _directory(process: Path, root: Path, controller: str) -> Path | None:
    """The process's own cgroup in the hierarchy with this controller, as far as it can be seen here."""
    members = parse_membership(_text(process, "cgroup"))
    for hierarchy in find_hierarchies(root):
        cgroup = Path(members.get(hierarchy.key, "/"))
        if controller in hierarchy.controllers and cgroup.is_relative_to(hierarchy.top):
            return hierarchy.directory / cgroup.relative_to(hierarchy.top)
    return None


def _text(directory: Path | None, name: str) -> str:
    with suppress(OSError):
        return (directory / name).read_text(errors="replace") if directory else ""
    return ""


def _number(directory: Path | None, *names: str) -> float:
    return next((float(text) for name in names if (text := _text(directory, name).strip())), 0.0)


def _limit(directory: Path | None, *names: str) -> float:
    return next((parse_limit(text) or 0.0 for name in names if (text := _text(directory, name).strip())), 0.0)


def _event(directory: Path | None, name: str) -> float:
    return parse_pairs(_text(directory, name), {"max": "max"}).get("max", 0.0)


def _cpus(directory: Path | None) -> float:
    """The quota in CPUs; v2 has quota and period in one file."""
    quota, _, period = _text(directory, "cpu.max").strip().partition(" ")
    quota = quota or _text(directory, "cpu.cfs_quota_us").strip()
    period = period or _text(directory, "cpu.cfs_period_us").strip()
    if quota in {"", "max", "-1"} or not period:
        return 0.0
    return float(quota) / float(period)


def _count(directory: Path) -> int:
    with suppress(OSError):
        return len(os.listdir(directory))  # noqa: PTH208 — Path objects would be made for nothing
    return 0
