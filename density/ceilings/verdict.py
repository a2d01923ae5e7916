"""Which ceiling bound: from failures, side counters and nearness, never from an error message alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.state import RunState
from density.units import format_value

_SIDE_COUNTERS: Mapping[str, tuple[str, str]] = {
    "slice.tasks_denied": ("tasks.cgroup", "the kernel denied {n} forks in the slice"),
    "slice.oom_kills": ("memory.cgroup", "the kernel killed {n} processes in the slice for want of memory"),
    "memory.oom_kills": ("memory.available", "the kernel killed {n} processes of the host for want of memory"),
}
"""Counters that only one ceiling moves: value name -> ceiling, evidence."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A ceiling that may have bound, with its odds among all suspects and what speaks for it."""

    ceiling: str
    subject: str
    odds: float
    evidence: tuple[str, ...]


def attribute(state: RunState, bounds: Bounds) -> tuple[str, str]:
    """Ceiling and subject that most likely caused the current wave's failures; empty where none can have."""
    found = suspects(state, bounds)
    return (found[0].ceiling, found[0].subject) if found else ("", "")


def suspects(state: RunState, bounds: Bounds) -> list[Suspect]:
    """Every ceiling that the failures' kinds fit, most likely first."""
    kinds = {kind for workload in state.workloads.values() for kind in workload.failures}
    highest = _highest_readings(state, bounds)
    weights = {key: _weight(reading) for key, reading in highest.items() if BY_ID[key[0]].errors & kinds}
    counted: dict[str, str] = {}
    for ceiling, sentence in _moved(state):
        counted[ceiling] = sentence
        for key in [key for key in highest if key[0] == ceiling] or [(ceiling, "")]:
            weights[key] = weights.get(key, 0.0) + 10.0
    if "memory.cgroup" in counted:
        weights.pop(("memory.available", ""), None)
    total = sum(weights.values())
    ordered = sorted(weights, key=lambda key: -weights[key])
    return [
        Suspect(*key, weights[key] / total, tuple(_evidence(key, highest, counted))) for key in ordered if total > 0
    ]


def _weight(reading: Reading) -> float:
    """Nearness to the limit, sharpened: what is half used hardly ever bound."""
    return max(0.0, min(1.0, reading.ratio)) ** 8


def _highest_readings(state: RunState, bounds: Bounds) -> dict[tuple[str, str], Reading]:
    """Each ceiling's highest use over the current wave (what failed has often been freed again by its end)."""
    highest: dict[tuple[str, str], Reading] = {}
    for values in (*(sample.values for sample in state.samples_in_wave), state.values()):
        for reading in readings({**state.values(), **values}, bounds):
            known = highest.get(reading.key)
            if known is None or reading.ratio > known.ratio:
                highest[reading.key] = reading
    return highest


def _moved(state: RunState) -> Iterator[tuple[str, str]]:
    for name, (ceiling, sentence) in _SIDE_COUNTERS.items():
        grown = state.host.get(name, 0.0) - state.first_host.get(name, 0.0)
        if grown > 0:
            yield ceiling, sentence.format(n=f"{grown:,.0f}")


def _evidence(
    key: tuple[str, str], highest: Mapping[tuple[str, str], Reading], counted: Mapping[str, str]
) -> Iterator[str]:
    if key[0] in counted:
        yield counted[key[0]]
    if reading := highest.get(key):
        unit = BY_ID[key[0]].unit
        yield (
            f"{key[0]} stood at {format_value(reading.used, unit)} of {format_value(reading.limit, unit)} "
            f"({reading.ratio:.1%})"
        )
