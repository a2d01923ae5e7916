"""Which ceiling bound: from failures, side counters and nearness, never from an error message alone.

Each ceiling that can cause the kinds of failure that were seen gets a weight: how well the kind points to it, times how
near it stood to its limit for what the launches wanted, times what its own counters say. The odds are the weights'
shares, with one share left for what the catalogue does not know.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from density.ceilings.catalog import BY_ID, readings
from density.ceilings.reading import Bounds, Reading
from density.state import RunState
from density.units import format_value

Key = tuple[str, str]
Costs = Mapping[Key, float]
"""Ceiling and subject -> what one more instance takes, where that was measured."""

SIDE_COUNTERS: Mapping[str, tuple[str, str]] = {
    "slice.tasks_denied": ("tasks.cgroup", "the kernel denied {n} fork{s} in the slice"),
    "slice.oom_kills": ("memory.cgroup", "the kernel killed {n} process{es} in the slice for want of memory"),
    "memory.oom_kills": ("memory.available", "the kernel killed {n} process{es} of the host for want of memory"),
    "network.neighbours.v4.table_fulls_count": ("network.neighbours", "the ARP table was full {n} time{s}"),
    "network.neighbours.v6.table_fulls_count": ("network.neighbours", "the IPv6 neighbour table was full {n} time{s}"),
    "network.backlog.dropped_count": ("network.backlog", "the backlog was full for {n} packet{s}"),
    "network.conntrack.dropped_count": ("network.conntrack", "{n} connection{s} found the tracking table full"),
}
"""Counters that only one ceiling moves: value name -> ceiling, evidence."""

IN_FLIGHT = 8
"""Launches in flight take more for a moment than running instances do; so many are allowed for."""
MOVED = 20.0
"""How much more likely a ceiling is whose own counter moved."""
BY_WORDS = 0.3
"""The weight of an instance's own limit that fits what it said last, where no counter tells whether it was this one."""
UNKNOWN = 0.03
"""The weight of a cause that is not in the catalogue, where the likeliest of it would have 1."""
UNLIKELY = 0.1
"""Suspects with lower odds are not worth telling."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A ceiling that may have bound, with its odds among all and what speaks for it."""

    ceiling: str
    subject: str
    odds: float
    evidence: tuple[str, ...]

    @property
    def key(self) -> Key:
        """Ceiling and subject."""
        return self.ceiling, self.subject


def likeliest(found: Sequence[Suspect]) -> Key:
    """Ceiling and subject of the first of `suspects`; `slo.failures` where none is likely."""
    return found[0].key if found and found[0].odds > UNLIKELY else ("slo.failures", "")


def suspects(state: RunState, bounds: Bounds, costs: Costs) -> list[Suspect]:
    """Every ceiling that the wave's failures fit, most likely first."""
    failures = state.failed_in_wave + state.lost_in_wave
    highest = highest_readings(state, bounds)
    counted = dict(_moved(state))
    weights = {
        key: _fits(BY_ID[key[0]].errors, failures) * _near(reading, costs.get(key), failures.total())
        for key, reading in highest.items()
        if BY_ID[key[0]].errors & set(failures) and not BY_ID[key[0]].own
    }
    weights |= {key: _own_weight(state, key, failures.total()) for key in own_readings(state)}
    for ceiling in counted:
        for key in [key for key in weights if key[0] == ceiling]:
            weights[key] *= MOVED
    if "memory.cgroup" in counted:
        # The host counts the slice's kills too.
        weights.pop(("memory.available", ""), None)
    total = sum(weights.values()) + UNKNOWN
    return [
        Suspect(
            *key,
            weight / total,
            tuple(
                _own_evidence(state, key) if BY_ID[key[0]].own else _evidence(key, highest[key], costs, counted),
            ),
        )
        for key, weight in sorted(weights.items(), key=lambda item: -item[1])
    ]


def _own_weight(state: RunState, key: Key, failed: int) -> float:
    """The share of the failures that met this limit of the instance itself."""
    ceiling, workload = key
    counted = state.workloads[workload].own_limits[ceiling].highest.hits > 0
    return state.own_limits_in_wave[key] / failed * (1.0 if counted else BY_WORDS)


def _fits(errors: frozenset[str], failures: Mapping[str, int]) -> float:
    """The share of the failures that this ceiling explains, less where its errors are of many kinds."""
    explained = sum(count for kind, count in failures.items() if kind in errors)
    return explained / sum(failures.values()) / math.sqrt(len(errors))


def _near(reading: Reading, cost: float | None, failed: int) -> float:
    """How likely the limit was in the way: 1 where the room was nothing beside what the launches wanted."""
    if cost is not None and cost > 0:
        wanted = cost * (failed + IN_FLIGHT)
        return 1 / (1 + (max(0.0, reading.limit - reading.used) / wanted) ** 2)
    return 0.5 * max(0.0, min(1.0, reading.ratio)) ** 8


def highest_readings(state: RunState, bounds: Bounds) -> dict[Key, Reading]:
    """Each ceiling's highest use over the current wave: what failed has often been freed again by its end."""
    highest: dict[Key, Reading] = {}
    last = state.values()
    for values in (*(sample.values for sample in state.samples_in_wave), last):
        for reading in readings({**last, **values}, bounds):
            known = highest.get(reading.key)
            if known is None or reading.ratio > known.ratio:
                highest[reading.key] = reading
    return highest | own_readings(state)


def own_readings(state: RunState) -> dict[Key, Reading]:
    """The instances' own limits that some of them met in the current wave; the subject is the workload."""
    found = {}
    for ceiling, workload in state.own_limits_in_wave:
        own = state.workloads[workload].own_limits[ceiling].highest
        found[ceiling, workload] = Reading(ceiling, workload, own.used, own.limit)
    return found


def _own_evidence(state: RunState, key: Key) -> Iterator[str]:
    """How many instances met this limit of their own, of how many."""
    ceiling, workload = key
    known = state.workloads[workload]
    own = known.own_limits[ceiling]
    limit = format_value(own.highest.limit, BY_ID[ceiling].unit)
    noun = "" if BY_ID[ceiling].unit == "bytes" else f" {BY_ID[ceiling].unit}"
    met = "met" if own.highest.hits else "may have met"
    yield (
        f"{own.count} of {known.launched} instances of {workload} {met} the instance's own limit of {limit}{noun}; "
        f"{known.failed + known.lost} of {known.launched} failed or died"
    )


def _moved(state: RunState) -> Iterator[tuple[str, str]]:
    for name, (ceiling, sentence) in SIDE_COUNTERS.items():
        grown = state.host.get(name, 0.0) - state.first_host.get(name, 0.0)
        if grown > 0:
            one = grown == 1
            yield ceiling, sentence.format(n=f"{grown:,.0f}", s="" if one else "s", es="" if one else "es")


def _evidence(key: Key, reading: Reading, costs: Costs, counted: Mapping[str, str]) -> Iterator[str]:
    if key[0] in counted:
        yield counted[key[0]]
    yield stood(reading)
    unit = BY_ID[key[0]].unit
    if (cost := costs.get(key)) is not None and cost > 0:
        yield f"one more instance takes {format_value(cost, unit)} of it"


def stood(reading: Reading) -> str:
    """`tasks.cgroup stood at 40 of 40 tasks (100.0%)`."""
    unit = BY_ID[reading.ceiling].unit
    name = f"{reading.ceiling} {reading.subject}".rstrip()
    noun = f" {unit}" if unit not in {"bytes", "seconds", "ratio"} else ""
    used, limit = format_value(reading.used, unit), format_value(reading.limit, unit)
    return f"{name} stood at {used} of {limit}{noun} ({reading.ratio:.1%})"
