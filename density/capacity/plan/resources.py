"""What a plan counts on each host: the hard ceilings of the catalogue, and what only a plan knows of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from density.capacity.footprint import Line
from density.capacity.typical import TYPICAL_SPREAD
from density.ceilings.catalog import BY_ID
from density.text import visible

Key = tuple[str, str]
"""Id and subject."""
End = Literal["low", "best", "high"]
"""Which end of the footprints' intervals is planned with."""

CPU: Key = ("cpu.busy", "")
"""In CPUs, unlike the catalogue's share of them."""
MEMORY: Key = ("memory.available", "")
INSTANCES: Key = ("instances", "")
"""How many instances a host may have, where a person says so."""
GIVEN_MEMORY: Key = ("given.memory", "")
GIVEN_CPUS: Key = ("given.cpus", "")
"""What instances were given, used or not: a VM's RAM and vCPUs, a container's limits."""
OF_THE_RUN: Mapping[Key, str] = {
    ("memory.cgroup", ""): "its slice",
    ("tasks.cgroup", ""): "its slice",
    ("disk.space", "runs"): "the disk of its record",
    ("disk.inodes", "runs"): "the disk of its record",
}
"""What a planned host has not, and whose it is."""

_UNITS = {CPU[0]: "CPUs", INSTANCES[0]: "instances", GIVEN_MEMORY[0]: "bytes", GIVEN_CPUS[0]: "CPUs"}
INDIFFERENT = 0.5
"""A cost is taken as measured where its 95 % interval is no wider than ± this share of it."""


def name_of(key: Key) -> str:
    """`files.process dockerd`; of what only a plan counts, in words."""
    match key[0]:
        case "given.memory":
            return "memory given"
        case "given.cpus":
            return "CPUs given"
        case _:
            # A subject is what an engine or a person called something.
            return visible(" ".join(filter(None, key)))


def unit_of(key: Key) -> str:
    """The unit of a resource's use and limit: `bytes`, or the plural noun of a count."""
    return _UNITS.get(key[0]) or BY_ID[key[0]].unit


def fix_of(key: Key) -> str:
    """What a person may change about it; empty where nothing is known."""
    match key[0]:
        case "instances":
            return "allow more instances on a host"
        case "cpu.busy":
            return "more CPUs, instances that burn less, or a higher --cpu-busy"
        case "given.memory" | "given.cpus":
            return "give instances less, or allow more --overcommit"
        case _:
            return BY_ID[key[0]].fix.text


@dataclass(frozen=True, slots=True)
class Cost:
    """What one instance takes of a resource, with its 95 % interval, none of it below 0.

    Attributes:
        measured: by a run; else typical, as the run could not tell it.
        own: of memory: as charged to its own cgroup, with what is typical besides: the host's free memory did not tell.
    """

    value: float
    low: float
    high: float
    measured: bool = True
    own: bool = False

    def at(self, end: End) -> float:
        """The estimate, or an end of its interval."""
        match end:
            case "low":
                return self.low
            case "high":
                return self.high
            case "best":
                return self.value


def is_sure(value: float, high: float) -> bool:
    """Whether a cost with this upper end is known well enough to plan with."""
    return value > 0 and high - value <= INDIFFERENT * value


def cost(fitted: Line | None, workload: str, typical: float) -> Cost:
    """One workload's cost: as fitted where that is sure enough, else typical where the fit does not speak against it.

    Args:
        fitted: of one resource's use; None: it was not measured.
        typical: what is usual, in the same unit.
    """
    if fitted is not None:
        value, low, high = fitted.footprint()[workload]
        if is_sure(value, high) or not low <= typical <= high:
            return Cost(max(0.0, value), max(0.0, low), max(0.0, high))
        if typical == 0:
            return Cost(0.0, 0.0, max(0.0, high))
    return Cost(typical, typical * (1 - TYPICAL_SPREAD), typical * (1 + TYPICAL_SPREAD), measured=False)
