"""How busy the CPUs are: psutil's CPU times, as shares over at least half a second."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from density.host.procfs import procfs
from density.host.reading import Unavailable

SHORTEST_SECONDS = 0.5
"""Over less than this a share is chance: the kernel counts in ticks of 10 ms, and one or two of them say nothing."""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Time of all CPUs since boot, in seconds; a guest's time is part of `user`, as the kernel counts it."""

    count: int
    total: float
    idle: float
    iowait: float
    steal: float


def read_times(root: Path) -> CpuTimes:
    """The times now; the count is that of the CPUs that are online.

    Raises:
        Unavailable: no /proc/stat, or no line of all CPUs in it.
    """
    with procfs(root):
        try:
            times = psutil.cpu_times()
            # Of this host psutil asks the kernel; a recorded one is counted by its lines.
            count = psutil.cpu_count() if root == Path("/") else len(psutil.cpu_times(percpu=True))
        except (TypeError, ValueError) as error:
            raise Unavailable(f"{root / 'proc/stat'}: no line of all CPUs: {error}") from error
    # Guest time is in user and nice already.
    steal = float(getattr(times, "steal", 0.0))  # kernels before 2.6.11 do not tell
    total = sum((times.user, times.nice, times.system, times.idle, times.iowait, times.irq, times.softirq, steal))
    return CpuTimes(count or 0, total, times.idle, times.iowait, steal)


def boot_time(root: Path) -> float:
    """When the host booted, in UNIX seconds.

    Raises:
        Unavailable: /proc/stat does not tell.
    """
    with procfs(root):
        try:
            return float(psutil.boot_time())
        except RuntimeError as error:
            raise Unavailable(str(error)) from error


def shares(before: CpuTimes, after: CpuTimes) -> dict[str, float]:
    """`cpu.*_ratio` between two samples, 0 to 1 of all CPUs; nothing where no tick passed.

    Busy is all that is neither idle nor waiting for a disk; stolen time counts as busy, for this host cannot use it.
    """
    total = after.total - before.total
    if total <= 0:
        return {}
    # The kernel lets iowait and idle go back a little when a CPU comes or goes.
    iowait = min(1.0, max(0.0, (after.iowait - before.iowait) / total))
    idle = min(1.0, max(0.0, (after.idle - before.idle) / total))
    steal = min(1.0, max(0.0, (after.steal - before.steal) / total))
    return {
        "cpu.busy_ratio": max(0.0, 1.0 - idle - iowait),
        "cpu.steal_ratio": steal,
        "cpu.iowait_ratio": iowait,
    }


class CpuSensor:
    """`cpu.count`, `host.boot_time_seconds`, `cpu.{busy,iowait,steal,total}_seconds` since boot, and shares of them.

    The shares `cpu.{busy,iowait,steal}_ratio` are those of the last interval of `SHORTEST_SECONDS` or longer; before
    the first is over there are none.

    Raises:
        Unavailable: no /proc/stat.
    """

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._before_at, self._before = clock(), read_times(root)
        self._shares: dict[str, float] = {}
        self._boot: dict[str, float] = {}
        with suppress(Unavailable):
            self._boot["host.boot_time_seconds"] = boot_time(root)

    def read(self) -> Mapping[str, float]:
        """The values now."""
        now, after = self._clock(), read_times(self._root)
        if now - self._before_at >= SHORTEST_SECONDS:
            self._shares = shares(self._before, after)
            self._before_at, self._before = now, after
        return {
            "cpu.count": float(after.count),
            "cpu.busy_seconds": after.total - after.idle - after.iowait,
            "cpu.iowait_seconds": after.iowait,
            "cpu.steal_seconds": after.steal,
            "cpu.total_seconds": after.total,
            **self._boot,
            **self._shares,
        }
