"""Runs as a plan sees them, made up for tests."""

import gzip
from collections.abc import Mapping
from pathlib import Path

from density.capacity.capacities import Capacity
from density.capacity.plan.basis import basis
from density.capacity.plan.hosts import parse_host
from density.capacity.plan.limits import MEASURED, host_type
from density.capacity.plan.measured import Measured, Use
from density.capacity.plan.plan import Asked, Plan, plan
from density.capacity.plan.policy import Policy
from density.capacity.plan.resources import CPU, MEMORY, Cost, Key
from density.ceilings.reading import Bounds
from density.events import Event
from density.model import Workload
from density.profile.spec import Objectives, Reserve
from density.record.codec import decode

GIB = 2.0**30
MIB = 2.0**20
TASKS: Key = ("tasks.pid_max", "")
PORTS: Key = ("network.bridge_ports", "docker0")
USES = {
    MEMORY: Use(1 * GIB, 6 * GIB, 16 * GIB, 1 * GIB),
    TASKS: Use(300, 2000, 32768, 1600),
    CPU: Use(0.0, 2.6, 4.0, 0.0),
}
COSTS = {
    "web": {MEMORY: Cost(20 * MIB, 18 * MIB, 22 * MIB), TASKS: Cost(12, 12, 12), CPU: Cost(0.01, 0.008, 0.012)},
    "db": {MEMORY: Cost(200 * MIB, 190 * MIB, 210 * MIB), TASKS: Cost(20, 20, 20), CPU: Cost(0.1, 0.1, 0.1)},
}
PEAKS = {"web": 50, "db": 20}
QUICKSTART = Path(__file__).parent.parent / "capacity" / "golden" / "quickstart.jsonl.gz"
"""A real run of containers and VMs: what came to rest, and when instances were ready."""


def measured(
    *,
    run_id: str = "20260101-000000-0000",
    workloads: Mapping[str, Workload] | None = None,
    costs: Mapping[str, Mapping[Key, Cost]] = COSTS,
    uses: Mapping[Key, Use] = USES,
    peaks: Mapping[str, int] | None = None,
    slo: int = 0,
    missed: tuple[str, ...] = (),
    objectives: Objectives = Objectives(),
    points: int = 8,
    over: bool = True,
    facts: Mapping[str, str | float] | None = None,
    accelerators: Mapping[str, str] | None = None,
) -> Measured:
    """A run on a host of 4 CPUs and 16 GiB."""
    counts = dict(peaks or {name: PEAKS.get(name, 50) for name in costs})
    total = sum(counts.values())
    return Measured(
        run_id=run_id,
        facts={"cpus": 4.0, "memory_bytes": 16 * GIB, **(facts or {})},
        workloads=workloads or {name: Workload(name=name, engine="docker") for name in costs},
        accelerators=accelerators or {},
        costs=costs,
        uses=uses,
        bounds=Bounds(Reserve(), objectives),
        peaks=counts,
        peak=total,
        points=points,
        slo=Capacity(slo or total, "observed", slo or total, slo or total),
        missed=missed,
        over=over,
    )


def planned(
    demand: Mapping[str, int],
    *hosts: str,
    runs: tuple[Measured, ...] = (),
    spare: int = 0,
    policy: Policy = Policy(),  # noqa: B008 — frozen
) -> Plan:
    """A plan for hosts as `--host` takes them; none: for hosts like the measured one."""
    known = basis(runs or (measured(),), list(demand))
    specs = [parse_host(text, name=f"host-{number}") for number, text in enumerate(hosts, start=1)] or [MEASURED]
    return plan(Asked(demand, tuple(host_type(spec, known, policy) for spec in specs), policy, spare), known)


def quickstart() -> list[Event]:
    """The events of QUICKSTART."""
    return [decode(line) for line in gzip.decompress(QUICKSTART.read_bytes()).decode().splitlines()]
