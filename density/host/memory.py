"""Host memory and swap by psutil; what it leaves out by parsers: /proc/meminfo by kind, overcommit, kills."""

import re
from collections.abc import Mapping
from pathlib import Path

import psutil

from density.host.procfs import procfs
from density.host.reading import FileSensor, Unavailable, number_parser, parse_pairs

_MEMINFO = {
    "AnonPages": "memory.anon_bytes",
    "Slab": "memory.slab_bytes",
    "PageTables": "memory.pagetables_bytes",
    "KernelStack": "memory.kernelstack_bytes",
    "Cached": "memory.cached_bytes",  # psutil's has the slab's reclaimable part in it, which counts as slab here
    "Committed_AS": "memory.committed_bytes",
    "CommitLimit": "memory.commit_limit_bytes",
    "HugePages_Total": "memory.hugepages_count",
    "HugePages_Free": "memory.hugepages_free_count",
}
_OOM_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def parse_meminfo(text: str) -> dict[str, float]:
    """What /proc/meminfo says of kinds of memory, in bytes, and of huge pages, in pages."""
    return parse_pairs(text, _MEMINFO)


def parse_vmstat(text: str) -> dict[str, float]:
    """`memory.oom_kills` of the whole host since it booted, from /proc/vmstat (Linux 4.13 and later)."""
    match = _OOM_KILLS.search(text)
    return {"memory.oom_kills": float(match[1])} if match else {}


def total_bytes(root: Path) -> float:
    """Memory of the host.

    Raises:
        Unavailable: /proc/meminfo does not tell.
    """
    return _usage(root)["memory.total_bytes"]


class MemorySensor:
    """`memory.*`: total and available, then by kind, the overcommit mode, and kills.

    Raises:
        Unavailable: no /proc/meminfo.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = FileSensor(
            {root / "proc/meminfo": parse_meminfo},
            {
                root / "proc/sys/vm/overcommit_memory": number_parser("memory.overcommit_mode"),
                root / "proc/vmstat": parse_vmstat,
            },
        )

    def read(self) -> Mapping[str, float]:
        """The values now."""
        return {**_usage(self._root), **self._files.read()}


class SwapSensor:
    """`memory.swap_{total,free}_bytes`.

    Raises:
        Unavailable: no /proc/meminfo.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> Mapping[str, float]:
        """The values now."""
        with procfs(self._root):
            swap = psutil.swap_memory()
        return {"memory.swap_total_bytes": float(swap.total), "memory.swap_free_bytes": float(swap.free)}


def _usage(root: Path) -> dict[str, float]:
    with procfs(root):
        try:
            memory = psutil.virtual_memory()
        except KeyError as error:
            raise Unavailable(f"{root / 'proc/meminfo'}: no {error}") from error
    return {"memory.total_bytes": float(memory.total), "memory.available_bytes": float(memory.available)}
