"""How near a ceiling is: use, limit and reserve at one moment, and the ways to read them from the host's values."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from density.evidence import Judged
from density.model import Workload
from density.profile.spec import Objectives, Reserve


@dataclass(frozen=True, slots=True)
class Reading:
    """One ceiling's use and limit, in the ceiling's unit.

    Attributes:
        subject: which one, where there are several (a bridge, a daemon, a disk); else empty.
        reserve: what is kept free below the limit.
        room: what is left before the reserve; negative once it is crossed.
        judged: what is known of an objective that is measured by a sample; None of what one reading decides.
    """

    ceiling: str
    subject: str
    used: float
    limit: float
    reserve: float = 0.0
    judged: Judged | None = None

    @property
    def state(self) -> Judged:
        """What is known: of what one reading decides, whether its reserve is crossed."""
        if self.judged is not None:
            return self.judged
        return Judged.VIOLATED if self.room < 0 else Judged.MET

    @property
    def room(self) -> float:
        """What is left before the reserve."""
        return self.limit - self.reserve - self.used

    @property
    def ratio(self) -> float:
        """Use as a share of the limit."""
        return self.used / self.limit if self.limit else 1.0

    @property
    def key(self) -> tuple[str, str]:
        """Ceiling and subject."""
        return self.ceiling, self.subject


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the profile sets: the reserve of hard ceilings and the limits of soft ones.

    Attributes:
        silent: the workloads that answer no pings, and so are not judged by round trips.
    """

    reserve: Reserve = Reserve()
    objectives: Objectives = Objectives()
    silent: frozenset[str] = frozenset()


def silent_of(workloads: Iterable[Workload]) -> frozenset[str]:
    """The names of those that answer no pings."""
    return frozenset(workload.name for workload in workloads if not workload.answers_pings)


Values = Mapping[str, float]
Found = tuple[str, float, float, float]
"""Subject, used, limit, reserve."""
Reader = Callable[[Values, Bounds], Iterator[Found]]


SMALL = 0.1
"""The most that is kept of a disk, as a share: one in memory, such as /run, may be smaller than the reserve."""
Kept = str | float
"""What a reader takes off a limit: a field of the profile's reserve, or a fixed number."""


def plain(used: str, limit: str, *, reserve: Kept = 0.0, subject: str = "", less: str = "") -> Reader:
    """Use and limit are each one value; `less` names one that is part of the use and does not count."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        if used in values and values.get(limit, 0) > 0:
            yield subject, max(0.0, values[used] - values.get(less, 0.0)), values[limit], _kept(values, bounds, reserve)

    return read


def fixed(used: str, limit: float, *, reserve: Kept = 0.0) -> Reader:
    """Use is a value, the limit is built into the kernel."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        if used in values:
            yield "", values[used], limit, _kept(values, bounds, reserve)

    return read


def only_if(name: str, value: float, reader: Reader) -> Reader:
    """What a reader finds, on hosts where one value says that the limit holds at all."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        if values.get(name) == value:
            yield from reader(values, bounds)

    return read


def free(available: str, total: str, *, reserve: Kept = 0.0) -> Reader:
    """The host tells what is free of a total."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        if available in values and values.get(total, 0) > 0:
            yield "", values[total] - values[available], values[total], _kept(values, bounds, reserve)

    return read


def each(prefix: str, used: str, limit: str, *, reserve: Kept = 0.0) -> Reader:
    """Use and limit of every `PREFIX.SUBJECT.USED` that has a `PREFIX.SUBJECT.LIMIT`."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        for subject in subjects(values, prefix, used):
            top = values.get(f"{prefix}.{subject}.{limit}", 0)
            if top > 0:
                yield subject, values[f"{prefix}.{subject}.{used}"], top, _kept(values, bounds, reserve)

    return read


def capped(reader: Reader) -> Reader:
    """What a reader finds, never past the limit: for what touches it without harm."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        for subject, used, limit, reserve in reader(values, bounds):
            yield subject, min(used, limit), limit, reserve

    return read


def each_shared(prefix: str, used: str, limit: str, *, reserve: Kept = 0.0) -> Reader:
    """Use of every `PREFIX.SUBJECT.USED` against one limit that holds for each of them alone."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        if values.get(limit, 0) > 0:
            for subject in subjects(values, prefix, used):
                yield subject, values[f"{prefix}.{subject}.{used}"], values[limit], _kept(values, bounds, reserve)

    return read


def either(*readers: Reader) -> Reader:
    """What several readers find, together."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        for reader in readers:
            yield from reader(values, bounds)

    return read


def each_fixed(prefix: str, used: str, limit: float) -> Reader:
    """Use of every `PREFIX.SUBJECT.USED` against a limit that the kernel has built in."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:  # noqa: ARG001 — the readers' common shape
        for subject in subjects(values, prefix, used):
            yield subject, values[f"{prefix}.{subject}.{used}"], limit, 0.0

    return read


def each_free(prefix: str, available: str, total: str, *, reserve: Kept) -> Reader:
    """What is free of a total, for every `PREFIX.SUBJECT`; of each, at most SMALL is kept."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        for subject in subjects(values, prefix, available):
            top = values.get(f"{prefix}.{subject}.{total}", 0)
            if top > 0:
                used = top - values[f"{prefix}.{subject}.{available}"]
                yield subject, used, top, min(_kept(values, bounds, reserve), SMALL * top)

    return read


def objective(measured: str, limit: str) -> Reader:
    """A measured value against a field of the profile's objectives."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        top = getattr(bounds.objectives, limit)
        if top is not None and measured in values:
            yield "", values[measured], top, 0.0

    return read


def nothing(values: Values, bounds: Bounds) -> Iterator[Found]:  # noqa: ARG001 — the readers' common shape
    """For what no value of the host tells: the limits of instances themselves, known from those that failed."""
    yield from ()


def each_objective(prefix: str, measured: str, limit: str) -> Reader:
    """What was measured of every workload, `PREFIX.WORKLOAD.MEASURED`, against a field of the profile's objectives."""

    def read(values: Values, bounds: Bounds) -> Iterator[Found]:
        top = getattr(bounds.objectives, limit)
        if top is not None:
            for workload in subjects(values, prefix, measured):
                yield workload, values[f"{prefix}.{workload}.{measured}"], top, 0.0

    return read


def subjects(values: Values, prefix: str, last: str) -> Iterator[str]:
    """Every SUBJECT of the names `PREFIX.SUBJECT.LAST`, sorted."""
    head, tail = prefix + ".", "." + last
    shortest = len(head) + len(tail)
    names = [name for name in values if name.startswith(head) and name.endswith(tail) and len(name) > shortest]
    for name in sorted(names):
        yield name[len(head) : -len(tail)]


def _kept(values: Values, bounds: Bounds, reserve: Kept) -> float:
    if reserve == "memory_bytes":
        return bounds.reserve.memory_of(values.get("memory.total_bytes", math.inf))
    return float(getattr(bounds.reserve, reserve)) if isinstance(reserve, str) else reserve
