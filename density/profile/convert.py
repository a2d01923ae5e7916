"""Between the tables of a TOML document and the profile that density uses."""

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from density.model import Workload
from density.profile.document import (
    CostTable,
    Document,
    EnginesTable,
    ObjectivesTable,
    RampTable,
    RequireTable,
    ReserveTable,
    SimulatedTable,
    SliceTable,
    Table,
    WorkloadTable,
)
from density.profile.kinds import DISK_VM, default_ready, kind_of
from density.profile.rules import SHAPES
from density.profile.spec import Endpoints, Objectives, Profile, Ramp, Require, Reserve, SimulatedHost, Slice

_UNITS: Mapping[type[Table], Mapping[str, str]] = {
    RampTable: {
        "max": "max_instances",
        "max_time": "max_seconds",
        "settle": "settle_seconds",
        "hold": "hold_seconds",
    },
    SliceTable: {"memory": "memory_bytes"},
    ReserveTable: {"memory": "memory_bytes", "disk": "disk_bytes"},
    ObjectivesTable: {
        "ready_p95": "ready_p95_seconds",
        "probe_p99": "probe_p99_seconds",
        "failures": "failures_share",
        "cpu_busy": "cpu_busy_share",
        "cpu_pressure": "cpu_pressure_share",
        "memory_pressure": "memory_pressure_share",
        "io_pressure": "io_pressure_share",
        "tester_lag": "tester_lag_seconds",
    },
    SimulatedTable: {
        "memory": "memory_bytes",
        "used_memory": "used_memory_bytes",
        "launch": "launch_seconds",
        "failures": "failure_share",
        "leak": "leak_bytes_per_second",
        "other_memory": "other_memory_bytes",
        "other_from": "other_from_seconds",
        "other_until": "other_until_seconds",
    },
    WorkloadTable: {"memory": "memory_bytes", "touch": "touch_bytes", "ready_timeout": "ready_timeout_seconds"},
    CostTable: {"memory": "memory_bytes"},
    Document: {"lease": "lease_seconds"},
}
"""Where a key of the TOML and the field that it fills differ: inside, names carry their unit."""


def to_profile(document: Document) -> Profile:
    """The profile of a document without problems."""
    assert document.name is not None
    costs = {name: _fields(table, set_only=True) for name, table in document.simulated.costs.items()}
    return Profile(
        name=document.name,
        description=document.description,
        lease_seconds=document.lease,
        workloads=tuple(_workload(name, table, costs.get(name, {})) for name, table in document.workloads.items()),
        ramp=Ramp(**_fields(document.ramp)),
        slice=Slice(**_fields(document.slice)),
        reserve=Reserve(**_fields(document.reserve)),
        objectives=Objectives(**_fields(document.objectives)),
        require=Require(**_fields(document.require)),
        endpoints=Endpoints(**_fields(document.engines) | {"data": _absolute(document.engines.data)}),
        simulated=SimulatedHost(**_fields(document.simulated) | {"costs": costs}),
    )


def _absolute(path: str) -> str:
    """By where density is started; empty where nothing is said."""
    home = os.path.expanduser(path)  # noqa: PTH111 — pathlib's raises for a user that there is not
    return str(Path(home).absolute()) if path else ""


def _fields(table: Table, *, set_only: bool = False) -> dict[str, Any]:
    units = _UNITS.get(type(table), {})
    keys = table.model_fields_set if set_only else type(table).model_fields
    return {units.get(key, key): getattr(table, key) for key in keys}


def _workload(name: str, table: WorkloadTable, stated_costs: Mapping[str, float]) -> Workload:
    kind = kind_of(table)
    assert kind is not None
    given = {field: value for field, value in _fields(table).items() if value is not None}
    if kind is DISK_VM:
        given["image"] = _absolute(given["image"])
    defaults = {
        "guest": kind.guest,
        "memory_bytes": kind.memory_bytes,
        "cpus": kind.cpus,
        "ready": default_ready(kind),
    }
    return Workload(**{"name": name, "stated_costs": stated_costs} | defaults | given)


def to_tables(profile: Profile) -> dict[str, Any]:
    """TOML tables that say all that the profile says, with every default; `to_profile` makes the same of them."""
    unused = {key for key, shapes in SHAPES.items() if profile.ramp.shape not in shapes}
    tables: dict[str, Any] = {
        "name": profile.name,
        "description": profile.description,
        **_table(Document, profile, {"lease"}),
        "ramp": _table(RampTable, profile.ramp, RampTable.model_fields.keys() - unused),
        "slice": _table(SliceTable, profile.slice),
        "reserve": {name: kept for name, kept in _table(ReserveTable, profile.reserve).items() if kept is not None},
        "objectives": _table(ObjectivesTable, profile.objectives),
        "require": _table(RequireTable, profile.require),
        "engines": {name: url for name, url in _table(EnginesTable, profile.endpoints).items() if url},
        "workloads": {workload.name: _workload_table(workload) for workload in profile.workloads},
    }
    if "simulated" in profile.engines:
        keys = SimulatedTable.model_fields.keys() - {"costs"}
        costs = {name: _cost_table(cost) for name, cost in profile.simulated.costs.items()}
        tables["simulated"] = _table(SimulatedTable, profile.simulated, keys) | {"costs": costs}
    return {key: value for key, value in tables.items() if value != {}}


def _workload_table(workload: Workload) -> dict[str, Any]:
    kind = kind_of(workload)
    assert kind is not None
    empty = {key for key in ("command", "environment") if not getattr(workload, key)}
    return _table(WorkloadTable, workload, kind.keys - empty)


def _cost_table(costs: Mapping[str, float]) -> dict[str, Any]:
    keys = {_UNITS[CostTable].get(key, key): key for key in CostTable.model_fields}
    given: dict[str, Any] = {keys[resource]: cost for resource, cost in costs.items()}
    return CostTable.model_construct(**given).model_dump(mode="json", exclude_unset=True)


def _table(model: type[Table], values: object, keys: AbstractSet[str] | None = None) -> dict[str, Any]:
    """The keys (None: all) of a table as TOML values."""
    units = _UNITS.get(model, {})
    wanted = [key for key in model.model_fields if keys is None or key in keys]
    given = {key: getattr(values, units.get(key, key)) for key in wanted}
    return model.model_construct(**given).model_dump(mode="json", exclude_unset=True)
