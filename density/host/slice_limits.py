"""What a slice is limited to, and whether the kernel holds it."""

import os
from dataclasses import dataclass

from density.errors import DensityError
from density.host.cgroup import read_limits
from density.host.hierarchies import SlicePaths
from density.units import format_bytes


class SliceUnavailable(DensityError):
    """There can be no slice here; the message says why and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a slice; 0 means none.

    Attributes:
        memory_bytes: of all memory that the kernel charges to it.
        tasks: processes and threads.
        cpus: CPU time a second.
    """

    memory_bytes: int = 0
    tasks: int = 0
    cpus: float = 0.0


def differences(paths: SlicePaths, limits: Limits) -> list[str]:
    """Every limit that was asked for and that the kernel does not hold, as half a sentence.

    The kernel rounds memory down to whole pages; CPU time is kept in steps of 10 us in 100 ms.

    Raises:
        Unavailable: the slice was removed.
    """
    held = read_limits(paths)
    found = []
    memory = held.get("slice.memory_limit_bytes", 0.0)
    if limits.memory_bytes and not 0 <= limits.memory_bytes - memory < os.sysconf("SC_PAGE_SIZE"):
        found.append(f"memory {format_bytes(memory)} instead of {format_bytes(limits.memory_bytes)}")
    tasks = held.get("slice.tasks_limit", 0.0)
    if limits.tasks and tasks != limits.tasks:
        found.append(f"{tasks:.0f} tasks instead of {limits.tasks}")
    cpus = held.get("slice.cpus_limit", 0.0)
    if limits.cpus and abs(cpus - limits.cpus) > 0.001:
        found.append(f"{cpus:g} CPUs instead of {limits.cpus:g}")
    return found
