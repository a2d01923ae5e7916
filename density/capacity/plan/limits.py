"""A host type with every limit filled in: what a person gave, the rest as on the measured host."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from density.capacity.footprint import Array
from density.capacity.plan.basis import Basis
from density.capacity.plan.hosts import HostSpec
from density.capacity.plan.measured import Use
from density.capacity.plan.policy import Policy, busy_share
from density.capacity.plan.resources import CPU, GIVEN_CPUS, GIVEN_MEMORY, INSTANCES, MEMORY, End, Key
from density.ceilings.reading import SMALL
from density.errors import UsageError
from density.profile.problems import listed

MEASURED = HostSpec("measured")
"""A host like the one that was measured, where a person names none."""
NO_ROOM = 2.0
"""The share of a host's room that an instance takes where there is no room at all: more than all of it."""
_KEPT_OF_DISKS = {"disk.space": "disk_bytes", "disk.inodes": "inodes"}
"""Ceiling -> the field of the reserve that is kept of it, though never more than SMALL of a disk."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One resource of a host type.

    Attributes:
        base: what the host itself uses.
        reserve: what it keeps.
        given: whether a person set it; else it is the measured host's.
        measured: the measured host's limit; 0 where it has none.
    """

    limit: float
    base: float = 0.0
    reserve: float = 0.0
    given: bool = False
    measured: float = 0.0

    @property
    def room(self) -> float:
        """What instances may take."""
        return self.limit - self.reserve - self.base


@dataclass(frozen=True, slots=True)
class HostType:
    """A kind of host, ready to be filled.

    Attributes:
        unknown: what a person limited although no run measured it, so that it cannot bind.
    """

    name: str
    limits: Mapping[Key, Limit]
    price: Fraction | None = None
    most: int | None = None
    cpus: float = 0.0
    memory_bytes: float = 0.0
    unknown: tuple[str, ...] = ()

    def without(self, resource: Key) -> "HostType":
        """The same host, were this resource without a limit; other subjects of its ceiling keep theirs."""
        return replace(self, limits={key: limit for key, limit in self.limits.items() if key != resource})


def host_type(spec: HostSpec, basis: Basis, policy: Policy) -> HostType:
    """Fill in a host's limits.

    Raises:
        UsageError: a subject of a ceiling that was not measured.
    """
    unknown = tuple(key for key in spec.limits if not _keys(key, basis.uses) and key != INSTANCES[0])
    for key in unknown:
        _check_subject(key, spec, basis.uses)
    cpus = spec.limits.get(CPU[0], basis.cpus)
    memory = spec.limits.get(MEMORY[0], basis.memory_bytes)
    limits = {key: _limit(key, spec, basis) for key in basis.uses}
    kept = cpus * (1 - busy_share(basis, policy)) if math.isfinite(cpus) else 0.0
    limits[CPU] = replace(limits[CPU], limit=cpus, reserve=kept)
    if INSTANCES[0] in spec.limits:
        limits[INSTANCES] = Limit(spec.limits[INSTANCES[0]], given=True)
    if policy.overcommit_cpus is not None:
        limits[GIVEN_CPUS] = Limit(policy.overcommit_cpus * cpus, given=True)
    if policy.overcommit_memory is not None:
        limits[GIVEN_MEMORY] = Limit(policy.overcommit_memory * memory, given=True)
    return HostType(spec.name, limits, spec.price, spec.most, cpus, memory, unknown)


def loads(host: HostType, basis: Basis, names: Sequence[str], end: End) -> Array:
    """What one instance takes of the room: a row for each resource that binds at some count, a column a workload."""
    rows = list(_rows(host, basis, names, end))
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))


def _rows(host: HostType, basis: Basis, names: Sequence[str], end: End) -> Iterator[list[float]]:
    for key, limit in host.limits.items():
        taken = [basis.costs[name][key].at(end) for name in names]
        if math.isfinite(limit.limit) and any(taken):
            yield [each / limit.room if limit.room > 0 else NO_ROOM * bool(each) for each in taken]


def _keys(resource: str, uses: Mapping[Key, Use]) -> list[Key]:
    """The keys that `CEILING` or `CEILING.SUBJECT` means."""
    return [key for key in uses if resource in {key[0], f"{key[0]}.{key[1]}"}]


def _check_subject(resource: str, spec: HostSpec, uses: Mapping[Key, Use]) -> None:
    subjects = [key[1] for key in uses if resource.startswith(f"{key[0]}.")]
    if subjects:
        ceiling = next(key[0] for key in uses if resource.startswith(f"{key[0]}."))
        there = listed([f"{ceiling}.{subject}" for subject in subjects], "and")
        raise UsageError(f"host {spec.name}: {resource} was not measured; of {ceiling} there are {there}")


def _limit(key: Key, spec: HostSpec, basis: Basis) -> Limit:
    use = basis.uses[key]
    given = spec.limits.get(f"{key[0]}.{key[1]}", spec.limits.get(key[0]))
    limit = use.limit if given is None else given
    if given is None and key[0] == "memory.commit" and basis.memory_bytes:
        # The kernel derives it from the memory.
        limit *= spec.limits.get(MEMORY[0], basis.memory_bytes) / basis.memory_bytes
    reserve = use.reserve
    if key[0] in _KEPT_OF_DISKS:
        kept = max(getattr(run.bounds.reserve, _KEPT_OF_DISKS[key[0]]) for run in basis.runs)
        reserve = min(float(kept), SMALL * limit)
    return Limit(limit, use.base, reserve, given is not None, use.limit)
