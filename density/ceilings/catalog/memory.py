"""Ceilings of memory."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import each, either, free, only_if, plain

UNIT_RESERVE_BYTES = 256 * 2**20
"""What a daemon, or the tester, keeps of its own unit's memory: a kill in there may take the daemon itself."""

MEMORY = (
    Ceiling(
        id="memory.available",
        resource="memory of the host",
        unit="bytes",
        read=free("memory.available_bytes", "memory.total_bytes", reserve="memory_bytes"),
        lethal=True,
        errors=errors("no_memory", "oom_killed"),
        fix=Fix(
            "give instances less memory, add swap or memory, or merge equal pages: echo 1 > /sys/kernel/mm/ksm/run"
        ),
    ),
    Ceiling(
        id="memory.cgroup",
        resource="memory of a cgroup (the slice, or a unit)",
        unit="bytes",
        read=either(
            plain("slice.memory_bytes", "slice.memory_limit_bytes", less="slice.inactive_file_bytes"),
            plain("own.memory_bytes", "own.memory_limit_bytes", reserve=UNIT_RESERVE_BYTES, subject="tester"),
            each("daemon", "memory_bytes", "memory_limit_bytes", reserve=UNIT_RESERVE_BYTES),
        ),
        # At the limit the kernel takes code back again and again before it kills: starts and leases run out meanwhile.
        errors=errors("no_memory", "oom_killed", "timeout", "exited"),
        fix=Fix(
            "raise `memory` in [slice] of the profile, or give instances less; "
            "for a daemon's unit: systemctl set-property UNIT MemoryMax=infinity",
            directive="MemoryMax",
        ),
    ),
    Ceiling(
        id="memory.commit",
        resource="memory that processes may ask for (vm.overcommit_memory = 2)",
        unit="bytes",
        read=only_if(
            "memory.overcommit_mode",
            2,
            plain("memory.committed_bytes", "memory.commit_limit_bytes", reserve="memory_bytes"),
        ),
        lethal=True,
        errors=errors("no_memory", "try_again"),
        fix=Fix("sysctl -w vm.overcommit_memory=0, or raise the share: sysctl -w vm.overcommit_ratio=100"),
    ),
    Ceiling(
        id="memory.hugepages",
        resource="huge pages of the default size",
        unit="pages",
        read=free("memory.hugepages_free_count", "memory.hugepages_count"),
        errors=errors("no_hugepages"),
        fix=Fix(
            "sysctl -w vm.nr_hugepages=N, early after boot, while memory is in one piece", sysctls=("vm.nr_hugepages",)
        ),
    ),
    Ceiling(
        # Soft: idle pages fill it on many hosts, and nothing fails as long as memory itself is left.
        id="memory.swap",
        resource="swap",
        unit="bytes",
        read=free("memory.swap_free_bytes", "memory.swap_total_bytes"),
        soft=True,
        fix=Fix("add swap (zram, or a file: swapon), or give instances less memory"),
    ),
)
