"""The catalogue: every ceiling density knows, one entry each. A new ceiling is a new entry here, and nothing else.

Ids are public: verdicts, metrics and reports use them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from density.ceilings.reading import (
    Bounds,
    Reader,
    Reading,
    each,
    each_fixed,
    each_free,
    either,
    free,
    objective,
    plain,
)

BRIDGE_PORTS_MAX = 1023
"""BR_MAX_PORTS is 1 << BR_PORT_BITS (10) in the kernel's net/bridge/br_private.h; port 0 is not used."""


@dataclass(frozen=True, slots=True)
class Fix:
    """How a ceiling is raised.

    Attributes:
        text: the command, or what to change, for a person.
        sysctls: kernel parameters that raise it; a script can set them to what a count needs.
        directive: the systemd directive that raises it for a daemon's unit, such as `LimitNOFILE`.
    """

    text: str
    sysctls: tuple[str, ...] = ()
    directive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """One entry.

    Attributes:
        resource: what runs out, in words.
        unit: of use and limit: `bytes`, `seconds`, `ratio`, or the plural noun of a count.
        read: finds use and limit among the host's values.
        lethal: running into it takes the host down, so no run goes past the reserve.
        soft: an objective, not a limit of the kernel or an engine.
        errors: kinds of failure (`density.ceilings.errors`) that it can cause.
        fix: how to raise it.
    """

    id: str
    resource: str
    unit: str
    read: Reader
    lethal: bool = False
    soft: bool = False
    errors: frozenset[str] = frozenset()
    fix: Fix


def _errors(*kinds: str) -> frozenset[str]:
    return frozenset(kinds)


CATALOG: tuple[Ceiling, ...] = (
    Ceiling(
        id="memory.available",
        resource="memory of the host",
        unit="bytes",
        read=free("memory.available_bytes", "memory.total_bytes", reserve="memory_bytes"),
        lethal=True,
        errors=_errors("no_memory", "oom_killed"),
        fix=Fix(
            "give instances less memory, add swap or memory, or merge equal pages: echo 1 > /sys/kernel/mm/ksm/run"
        ),
    ),
    Ceiling(
        id="memory.cgroup",
        resource="memory of the slice",
        unit="bytes",
        read=plain("slice.memory_bytes", "slice.memory_limit_bytes"),
        errors=_errors("no_memory", "oom_killed"),
        fix=Fix("raise `memory` in [slice] of the profile, or give instances less"),
    ),
    Ceiling(
        id="tasks.pid_max",
        resource="process and thread ids",
        unit="tasks",
        read=plain("tasks.count", "tasks.pid_max", reserve="tasks"),
        lethal=True,
        errors=_errors("try_again"),
        fix=Fix("sysctl -w kernel.pid_max=4194304", sysctls=("kernel.pid_max",)),
    ),
    Ceiling(
        id="tasks.threads_max",
        resource="threads",
        unit="tasks",
        read=plain("tasks.count", "tasks.threads_max", reserve="tasks"),
        lethal=True,
        errors=_errors("try_again"),
        fix=Fix("sysctl -w kernel.threads-max=4194304", sysctls=("kernel.threads-max",)),
    ),
    Ceiling(
        id="tasks.cgroup",
        resource="tasks of the slice",
        unit="tasks",
        read=plain("slice.tasks", "slice.tasks_limit"),
        errors=_errors("try_again"),
        fix=Fix("raise `tasks` in [slice] of the profile"),
    ),
    Ceiling(
        id="files.file_max",
        resource="open files of the host",
        unit="files",
        read=plain("files.open", "files.max", reserve="files"),
        lethal=True,
        errors=_errors("too_many_files"),
        fix=Fix("sysctl -w fs.file-max=9223372036854775807", sysctls=("fs.file-max",)),
    ),
    Ceiling(
        id="files.process",
        resource="open files of one process: a daemon of an engine, or the tester",
        unit="files",
        read=either(
            each("daemon", "fds", "fds_limit", reserve=64),
            plain("tester.fds", "tester.fds_limit", reserve=64, subject="tester"),
        ),
        errors=_errors("too_many_files"),
        fix=Fix(
            "raise LimitNOFILE of the daemon's unit, or `ulimit -n` in the shell that starts it",
            directive="LimitNOFILE",
        ),
    ),
    Ceiling(
        id="network.bridge_ports",
        resource="ports of one bridge",
        unit="ports",
        read=each_fixed("network.bridge", "ports_count", BRIDGE_PORTS_MAX),
        errors=_errors("exchange_full"),
        fix=Fix('spread the workload over several networks, or use network = "none" or "host"'),
    ),
    Ceiling(
        id="network.addresses",
        resource="addresses of one network",
        unit="addresses",
        read=each("network.bridge", "ports_count", "addresses_count"),
        errors=_errors("no_address"),
        fix=Fix("make the network with a bigger subnet: docker network create --subnet 10.200.0.0/16 NAME"),
    ),
    Ceiling(
        id="disk.space",
        resource="disk space",
        unit="bytes",
        read=each_free("disk", "available_bytes", "total_bytes", reserve="disk_bytes"),
        lethal=True,
        errors=_errors("no_space"),
        fix=Fix("free or add disk space, or share backing files between instances"),
    ),
    Ceiling(
        id="disk.inodes",
        resource="inodes of a file system",
        unit="inodes",
        read=each_free("disk", "inodes_free", "inodes", reserve="inodes"),
        lethal=True,
        errors=_errors("no_space"),
        fix=Fix("use a file system with more inodes (mkfs.ext4 -N), or XFS"),
    ),
    Ceiling(
        id="cpu.busy",
        resource="CPU time",
        unit="ratio",
        read=objective("cpu.busy_ratio", "cpu_busy_share"),
        soft=True,
        fix=Fix("fewer or smaller instances, or more CPUs"),
    ),
    Ceiling(
        id="cpu.pressure",
        resource="CPU pressure (share of time that some task waited)",
        unit="ratio",
        read=objective("pressure.cpu.some_avg10_ratio", "cpu_pressure_share"),
        soft=True,
        fix=Fix("fewer or smaller instances, or more CPUs"),
    ),
    Ceiling(
        id="memory.pressure",
        resource="memory pressure (share of time that some task waited)",
        unit="ratio",
        read=objective("pressure.memory.some_avg10_ratio", "memory_pressure_share"),
        soft=True,
        fix=Fix("fewer or smaller instances, or more memory"),
    ),
    Ceiling(
        id="io.pressure",
        resource="I/O pressure (share of time that some task waited)",
        unit="ratio",
        read=objective("pressure.io.some_avg10_ratio", "io_pressure_share"),
        soft=True,
        fix=Fix("faster disks, or instances that read and write less"),
    ),
    Ceiling(
        id="slo.ready",
        resource="time from intended launch to ready, 95th percentile",
        unit="seconds",
        read=objective("slo.ready_p95_seconds", "ready_p95_seconds"),
        soft=True,
        fix=Fix("launch fewer at once (`concurrency` in [ramp]), or fewer instances"),
    ),
    Ceiling(
        id="slo.probe",
        resource="ping round trip of running instances, 99th percentile",
        unit="seconds",
        read=objective("slo.probe_p99_seconds", "probe_p99_seconds"),
        soft=True,
        fix=Fix("fewer or smaller instances, or more CPUs"),
    ),
    Ceiling(
        id="slo.failures",
        resource="share of launches that failed",
        unit="ratio",
        read=objective("slo.failures_ratio", "failures_share"),
        soft=True,
        errors=_errors("timeout", "exited", "engine", "refused", "overloaded"),
        fix=Fix("see the failures by kind"),
    ),
    Ceiling(
        id="tester.lag",
        resource="lateness of the tester's own tick",
        unit="seconds",
        read=objective("tester.lag_seconds", "tester_lag_seconds"),
        soft=True,
        fix=Fix("give the tester CPU: it is starved, so its numbers are in doubt"),
    ),
)

BY_ID: Mapping[str, Ceiling] = {ceiling.id: ceiling for ceiling in CATALOG}


def readings(values: Mapping[str, float], bounds: Bounds) -> Iterator[Reading]:
    """Every ceiling that these values tell of."""
    for ceiling in CATALOG:
        for subject, used, limit, reserve in ceiling.read(values, bounds):
            yield Reading(ceiling.id, subject, used, limit, reserve)
