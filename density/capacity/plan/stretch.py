"""Where a plan goes beyond what was measured, and by how much."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from density.capacity.plan.basis import Basis
from density.capacity.plan.filling import Filled
from density.capacity.plan.limits import HostType
from density.capacity.plan.measured import Measured
from density.capacity.plan.resources import CPU, MEMORY, Key
from density.capacity.plan.room import Room

BEYOND = 1.1
"""Up to this many times what was measured, nothing is said."""
Kind = Literal["limit", "use", "instances", "workload", "objective", "room"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One thing that the plan takes further than a run did.

    Attributes:
        kind: `limit` of a planned host, `use` of a resource there, `instances` of all or of a `workload` on one host,
            or more of them than kept every `objective`; `room`: of a workload, were its room used.
        host: the type of the planned host.
        planned, measured: in the resource's unit, or instances.
        key: of `limit` and `use`.
        workload: its name; of `objective`: the one whose room goes further than the objectives were kept.
        objectives: those that were missed.
        run: whose measurement it was.
    """

    kind: Kind
    host: str
    planned: float
    measured: float
    key: Key = ("", "")
    workload: str = ""
    objectives: tuple[str, ...] = ()
    run: str = ""

    @property
    def times(self) -> float:
        """How many times what was measured."""
        return self.planned / self.measured if self.measured else float("inf")


def stretches(groups: Sequence[Filled], basis: Basis, demand: Mapping[str, int]) -> tuple[Stretch, ...]:
    """All of them, in the order of the hosts."""
    found = [each for group in groups for each in _of_one(group, basis, list(demand))]
    return tuple(each for each in found if each.times > BEYOND or each.kind == "objective")


def _of_one(group: Filled, basis: Basis, names: Sequence[str]) -> Iterator[Stretch]:
    name = group.host.name
    for key in (MEMORY, CPU):
        limit = group.host.limits.get(key)
        if limit and limit.given and limit.measured and math.isfinite(limit.limit):
            yield Stretch("limit", name, limit.limit, limit.measured, key)
    peak = max(run.peak for run in basis.runs)
    yield Stretch("instances", name, group.most_together, peak)
    for place, workload in enumerate(names if len(names) > 1 else ()):
        yield Stretch("workload", name, group.most(place), basis.sources[workload].peaks[workload], workload=workload)
    if group.binds and group.binds.key in basis.uses:
        yield Stretch("use", name, group.binds.down, basis.uses[group.binds.key].highest, group.binds.key)
    for run in basis.runs:
        own = _of_run(group, run, basis)
        if run.missed and own > run.slo.count:
            yield Stretch("objective", name, own, run.slo.count, objectives=run.missed, run=run.run_id)


def _of_run(group: Filled, run: Measured, basis: Basis) -> int:
    """The most instances of what a run measured on one host."""
    return sum(group.most(place) for place, source in enumerate(basis.sources.values()) if source is run)


def of_room(
    room: Mapping[str, Room], groups: Sequence[Filled], hosts: Sequence[HostType], basis: Basis
) -> Iterator[Stretch]:
    """How far using the room would go beyond what was measured, each workload alone."""
    for place, (name, more) in enumerate(room.items()):
        fullest = max(more.full, key=lambda group: group.counts[place], default=None)
        if fullest is None:
            continue
        host, run = hosts[fullest.bin].name, basis.sources[name]
        found = Stretch("room", host, fullest.counts[place], run.peaks[name], workload=name)
        if found.times > BEYOND:
            yield found
        own = sum(count for count, source in zip(fullest.counts, basis.sources.values(), strict=True) if source is run)
        if run.missed and own > run.slo.count >= max(_of_run(group, run, basis) for group in groups):
            yield Stretch("objective", host, own, run.slo.count, workload=name, objectives=run.missed, run=run.run_id)
