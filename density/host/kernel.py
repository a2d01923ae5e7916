"""What the kernel counts in a file of its own, one number each: aio requests, pseudo-terminals, memory cgroups."""

from collections.abc import Mapping
from pathlib import Path

from density.host.hierarchies import find_hierarchies
from density.host.reading import FileSensor, Unavailable, number_parser, parse_pairs

_STAT = {
    "nr_descendants": "cgroups.count",
    "nr_dying_descendants": "cgroups.dying_count",
    "nr_subsys_memory": "cgroups.memory_count",
}


def aio_sensor(root: Path) -> FileSensor:
    """`aio.{requests_count,requests_limit}`: what all contexts together asked for (QEMU's io=native: 1,024 a disk).

    Raises:
        Unavailable: a kernel without Linux aio.
    """
    fs = root / "proc/sys/fs"
    return FileSensor(
        {
            fs / "aio-nr": number_parser("aio.requests_count"),
            fs / "aio-max-nr": number_parser("aio.requests_limit"),
        }
    )


class PtySensor:
    """`ptys.{count,limit}`; the limit is what is left for mounts of devpts other than the host's, such as containers'.

    Raises:
        Unavailable: a kernel without pseudo-terminals.
    """

    def __init__(self, root: Path) -> None:
        pty = root / "proc/sys/kernel/pty"
        self._files = FileSensor(
            {
                pty / "nr": number_parser("ptys.count"),
                pty / "max": number_parser("max"),
                pty / "reserve": number_parser("reserve"),
            }
        )

    def read(self) -> Mapping[str, float]:
        """The values now."""
        found = self._files.read()
        return {"ptys.count": found["ptys.count"], "ptys.limit": found["max"] - found["reserve"]}


def parse_cgroups(text: str) -> dict[str, float]:
    """`cgroups.memory_count` from v1's /proc/cgroups, dying ones included."""
    for line in text.splitlines():
        fields = line.split()
        if fields[0] == "memory":
            return {"cgroups.memory_count": float(fields[2])}
    raise Unavailable("/proc/cgroups: no memory controller")


def parse_cgroup_stat(text: str) -> dict[str, float]:
    """`cgroups.{memory_count,dying_count}` from v2's cgroup.stat.

    An id is free again once its cgroup is removed (Linux 4.8; not while its pages are swapped out). Kernels since 6.12
    count living memory cgroups by themselves; before, every cgroup is taken for one, the dying included.
    """
    values = parse_pairs(text, _STAT)
    count = values.pop("cgroups.count", 0.0)
    values.setdefault("cgroups.memory_count", count + values.get("cgroups.dying_count", 0.0))
    return values


def memcg_sensor(root: Path) -> FileSensor:
    """The sensor of memory cgroups.

    Raises:
        Unavailable: no hierarchy accounts memory, or its counts cannot be seen.
    """
    hierarchy = next((each for each in find_hierarchies(root) if "memory" in each.controllers), None)
    if hierarchy is None:
        raise Unavailable("no cgroup hierarchy accounts memory")
    if hierarchy.version == 1:
        return FileSensor({root / "proc/cgroups": parse_cgroups})
    return FileSensor({hierarchy.directory / "cgroup.stat": parse_cgroup_stat})
