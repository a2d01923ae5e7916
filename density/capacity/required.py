"""Capacities that a profile requires, held against those that a run has found."""

from collections.abc import Mapping
from dataclasses import dataclass

from density.capacity.capacities import Capacities


@dataclass(frozen=True, slots=True)
class Requirement:
    """One capacity (`hard`, `slo`, `recommended`): the instances wanted, those found, and whether that is enough."""

    name: str
    wanted: int
    found: int
    met: bool


def requirements(wanted: Mapping[str, int], found: Capacities) -> list[Requirement]:
    """Each required capacity. A forecast meets it by its estimate, as it is the best that is known."""
    counts = {"hard": found.hard.count, "slo": found.slo.count, "recommended": found.recommended.count}
    return [Requirement(name, least, counts[name], counts[name] >= least) for name, least in wanted.items()]
