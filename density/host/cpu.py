"""How busy the CPUs are: /proc/stat, as shares since the last sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from density.host.reading import HotFile, Unavailable


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Time of all CPUs since boot, in ticks; a guest's time is part of `user`, as the kernel counts it."""

    count: int
    total: int
    idle: int
    iowait: int
    steal: int


def parse_stat(text: str) -> CpuTimes:
    """Times from /proc/stat; the count is that of the CPUs that are online.

    Raises:
        Unavailable: no line of all CPUs in it.
    """
    lines = text.split("\n")
    fields = lines[0].split()
    if not fields or fields[0] != "cpu" or len(fields) < 5:
        raise Unavailable("/proc/stat: no line of all CPUs")
    # Older kernels end the line sooner; guest and guest_nice (the 9th and 10th) are in user and nice already.
    user, nice, system, idle, iowait, irq, softirq, steal = ([int(word) for word in fields[1:9]] + [0] * 8)[:8]
    count = 0
    for line in lines[1:]:
        if not line.startswith("cpu"):
            break
        count += 1
    return CpuTimes(count, user + nice + system + idle + iowait + irq + softirq + steal, idle, iowait, steal)


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
    """`cpu.count` and the shares since the last read (since it was made, for the first).

    Raises:
        Unavailable: no /proc/stat.
    """

    def __init__(self, root: Path) -> None:
        self._file = HotFile(root / "proc/stat")
        self._before = parse_stat(self._file.read())

    def read(self) -> Mapping[str, float]:
        """Values since the last read."""
        after = parse_stat(self._file.read())
        values = shares(self._before, after)
        if values:
            self._before = after
        return {"cpu.count": float(after.count), **values}
