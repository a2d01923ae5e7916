"""Soft ceilings: what a profile asks to be kept, and no kernel enforces."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import each_objective, objective

TESTER_LAG = "tester.lag"
OBJECTIVES = (
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
        read=objective("pressure.cpu.some_ratio", "cpu_pressure_share"),
        soft=True,
        fix=Fix("fewer or smaller instances, or more CPUs"),
    ),
    Ceiling(
        id="memory.pressure",
        resource="memory pressure (share of time that some task waited)",
        unit="ratio",
        read=objective("pressure.memory.some_ratio", "memory_pressure_share"),
        soft=True,
        fix=Fix("fewer or smaller instances, or more memory"),
    ),
    Ceiling(
        id="io.pressure",
        resource="I/O pressure (share of time that some task waited)",
        unit="ratio",
        read=objective("pressure.io.some_ratio", "io_pressure_share"),
        soft=True,
        fix=Fix("faster disks, or instances that read and write less"),
    ),
    Ceiling(
        id="slo.ready",
        resource="time from intended launch to ready, 95th percentile",
        unit="seconds",
        read=each_objective("slo.ready", "p95_seconds", "ready_p95_seconds"),
        soft=True,
        fix=Fix("launch fewer at once (`concurrency` in [ramp]), or fewer instances"),
    ),
    Ceiling(
        id="slo.probe",
        resource="ping round trip of running instances, 99th percentile",
        unit="seconds",
        read=each_objective("slo.probe", "p99_seconds", "probe_p99_seconds"),
        soft=True,
        fix=Fix("fewer or smaller instances, or more CPUs"),
    ),
    Ceiling(
        id="slo.failures",
        resource="share of launches that failed, or whose instance died",
        unit="ratio",
        read=each_objective("slo.failures", "failed_ratio", "failures_share"),
        soft=True,
        errors=errors("timeout", "exited", "engine", "refused", "overloaded"),
        fix=Fix("see the failures by kind"),
    ),
    Ceiling(
        id=TESTER_LAG,
        resource="lateness of the tester's own tick",
        unit="seconds",
        read=objective("tester.lag_seconds", "tester_lag_seconds"),
        soft=True,
        fix=Fix("give the tester CPU: it is starved, so its numbers are in doubt"),
    ),
)

BY_FIELD = {
    "ready_p95_seconds": "slo.ready",
    "probe_p99_seconds": "slo.probe",
    "failures_share": "slo.failures",
    "cpu_busy_share": "cpu.busy",
    "cpu_pressure_share": "cpu.pressure",
    "memory_pressure_share": "memory.pressure",
    "io_pressure_share": "io.pressure",
    "tester_lag_seconds": TESTER_LAG,
}
"""Field of a profile's objectives -> the soft ceiling that it sets."""
BY_WORKLOAD = ("slo.ready", "slo.probe", "slo.failures")
"""Those that are measured of each workload by itself, by samples."""
TIMED = ("slo.ready", "slo.probe")
"""Those that are in doubt where density itself was late."""
