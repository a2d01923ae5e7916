"""What has to be raised so that a count of instances fits: kernel parameters, units of systemd, and the rest."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from density.ceilings.catalog import BY_ID
from density.report.ceilings import ceiling_name, format_limit
from density.report.doctor import Diagnosis, Prospect
from density.units import format_count, format_value

Kind = Literal["sysctl", "unit", "hand"]

UNITS: Mapping[str, str] = {
    "dockerd": "docker.service",
    "containerd": "containerd.service",
    "libvirtd": "libvirtd.service",
    "virtqemud": "virtqemud.service",
    "virtlogd": "virtlogd.service",
}
"""Daemon -> the unit that distributions start it by."""
_QEMU_UNIT = "libvirtd.service"

_INT, _LONG = 2**31 - 1, 2**63 - 1
_MOST: Mapping[str, int] = {
    "kernel.pid_max": 4_194_304,
    "kernel.threads-max": 2**30 - 1,
    "kernel.pty.max": 2**20,
    "fs.file-max": _LONG,
    "fs.aio-max-nr": _LONG,
}
"""What the kernel takes at most: PID_MAX_LIMIT, FUTEX_TID_MASK, NR_UNIX98_PTY_MAX; all others are ints."""
_PTY_RESERVE = 1024
"""kernel.pty.reserve: what of kernel.pty.max is kept for the host's own devpts, so that the limit is less by it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to raise.

    Attributes:
        kind: `sysctl`, `unit` (a directive of a unit of systemd), or `hand`: a person has to.
        prospect: the ceiling that asks for it.
        name: of the parameter, or `UNIT DIRECTIVE`; what to do, for `hand`.
        value: what it has to be at least; 0 for `hand`.
    """

    kind: Kind
    prospect: Prospect
    name: str
    value: int = 0


def steps(diagnosis: Diagnosis) -> tuple[Step, ...]:
    """Everything that is below what the wanted count needs with some margin, nearest ceiling first."""
    count = diagnosis.wanted
    short = [prospect for prospect in diagnosis.prospects if prospect.needed(count) > prospect.reading.limit]
    return tuple(step for prospect in short for step in _steps(prospect, count))


def reason(prospect: Prospect, count: int) -> str:
    """`tasks.pid_max: 312 used, 1,600 kept, 13 each (typical): full at 2,373; 5,000 need 73,400 tasks`."""
    reading, cost = prospect.reading, prospect.cost
    unit = BY_ID[reading.ceiling].unit
    kept = f", {format_limit(reading.reserve, reading.ceiling)} kept" if reading.reserve else ""
    each = f"{format_value(cost.value, unit)} each ({cost.basis})"
    noun = "" if unit == "bytes" else f" {unit}"
    return (
        f"{ceiling_name(*reading.key)}: {format_limit(reading.used, reading.ceiling)} used{kept}, {each}: "
        f"full at {format_count(math.floor(prospect.forecast.count))}; {format_count(count)} need "
        f"{format_limit(rounded_up(prospect.needed(count)), reading.ceiling)}{noun}"
    )


def rounded_up(value: float) -> int:
    """Up to three significant digits: nobody has to wonder what the last ones mean."""
    step = int(10 ** max(0, len(str(math.ceil(value))) - 3))
    return math.ceil(value / step) * step


def _steps(prospect: Prospect, count: int) -> Iterator[Step]:
    reading, fix = prospect.reading, BY_ID[prospect.reading.ceiling].fix
    needed = rounded_up(prospect.needed(count))
    unit = _QEMU_UNIT if reading.ceiling == "libvirt.processes" else UNITS.get(reading.subject, "")
    parameters = _parameters(prospect, needed) if fix.sysctls else ()
    if parameters and all(value <= _MOST.get(name, _INT) for name, value in parameters):
        yield from (Step("sysctl", prospect, name, value) for name, value in parameters)
    elif fix.directive and unit:
        yield Step("unit", prospect, f"{unit} {fix.directive}", needed)
    else:
        yield Step("hand", prospect, _by_hand(prospect))


def _parameters(prospect: Prospect, needed: int) -> tuple[tuple[str, int], ...]:
    """The parameters behind one subject's limit, and what each has to be."""
    ceiling, subject = prospect.reading.key
    sysctls = BY_ID[ceiling].fix.sysctls
    match ceiling:
        case "namespaces.user":
            return ((f"user.max_{subject}_namespaces", needed),)
        case "network.neighbours":
            family = f"net.ip{subject}.neigh.default"
            # Above the middle threshold entries are thrown out early, so it has to follow.
            return ((f"{family}.gc_thresh3", needed), (f"{family}.gc_thresh2", needed // 2))
        case "keys.user" | "keys.bytes" if subject != "uid0":
            return tuple((name.replace("root_", ""), needed) for name in sysctls)
        case "ptys":
            return ((sysctls[0], needed + _PTY_RESERVE),)
        case _:
            return tuple((name, needed) for name in sysctls)


def _by_hand(prospect: Prospect) -> str:
    ceiling, subject = prospect.reading.key
    if subject == "tester":
        return "start density where it may have more: `ulimit -n` in its shell, TasksMax and MemoryMax of its unit"
    if not subject and ceiling in {"memory.cgroup", "tasks.cgroup"}:
        return f"raise `{ceiling.partition('.')[0]}` in [slice] of the profile"
    return BY_ID[ceiling].fix.text
