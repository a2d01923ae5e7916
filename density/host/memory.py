"""Host memory: /proc/meminfo, the overcommit mode and the count of out-of-memory kills."""

from pathlib import Path

from density.host.reading import FileSensor, number_parser, parse_pairs

_MEMINFO = {
    "MemTotal": "memory.total_bytes",
    "MemAvailable": "memory.available_bytes",
    "AnonPages": "memory.anon_bytes",
    "Slab": "memory.slab_bytes",
    "PageTables": "memory.pagetables_bytes",
    "KernelStack": "memory.kernelstack_bytes",
    "Cached": "memory.cached_bytes",
    "Committed_AS": "memory.committed_bytes",
    "CommitLimit": "memory.commit_limit_bytes",
    "SwapTotal": "memory.swap_total_bytes",
    "SwapFree": "memory.swap_free_bytes",
}
_VMSTAT = {"oom_kill": "memory.oom_kills"}


def parse_meminfo(text: str) -> dict[str, float]:
    """`memory.*_bytes` from /proc/meminfo."""
    return parse_pairs(text, _MEMINFO)


def parse_vmstat(text: str) -> dict[str, float]:
    """`memory.oom_kills` of the whole host since it booted, from /proc/vmstat (Linux 4.13 and later)."""
    return parse_pairs(text, _VMSTAT)


def memory_sensor(root: Path) -> FileSensor:
    """The sensor of host memory.

    Raises:
        Unavailable: no /proc/meminfo.
    """
    return FileSensor(
        {root / "proc/meminfo": parse_meminfo},
        {
            root / "proc/sys/vm/overcommit_memory": number_parser("memory.overcommit_mode"),
            root / "proc/vmstat": parse_vmstat,
        },
    )
