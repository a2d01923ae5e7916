"""Recorded runs of every kind, on the simulated engine in virtual time: the same to the last byte each time."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import anyio
from support.simulation import simulate

from density.controller.paths import RECORD
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import (
    EngineFound,
    Event,
    HostFound,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    StageEntered,
    Stopped,
    Warned,
    WaveSettled,
    WorkloadPrepared,
)
from density.model import EngineInfo, Failure, Phase, Workload
from density.profile.spec import Objectives, Profile, Ramp, Require, Reserve, SimulatedHost, Slice
from density.record import RecordWriter
from density.record.codec import decode

MIB = 2**20
GIB = 2**30
HOSTILE = "<script>window.pwned = true</script>\"'&amp; \u202egnp.exe\u202c $x^2$ {{ 7 * 7 }} ]]> \x1b[31m\x00 =1+1 "
LONG = HOSTILE + "x" * 10_000
"""What somebody may have called an image, or an engine may say."""

PROFILE = Profile(
    name="shop",
    workloads=(
        Workload(name="web", engine="simulated", share=3),
        Workload(name="db", engine="simulated"),
    ),
    ramp=Ramp(start=8, until="safe"),
    reserve=Reserve(memory_bytes=GIB // 4, tasks=100, files=100),
    objectives=Objectives(ready_p95_seconds=5.0, failures_share=0.2),
    require=Require(hard=100, slo=30),
    simulated=SimulatedHost(
        cpus=4,
        memory_bytes=2 * GIB,
        used_memory_bytes=GIB // 4,
        costs={
            "web": {"memory_bytes": 10 * MIB, "tasks": 5, "files": 10},
            "db": {"memory_bytes": 40 * MIB, "tasks": 8, "files": 30, "cpus": 0.02},
        },
        failure_share=0.03,
        seed=3,
    ),
)


def _ceiling() -> list[Event]:
    return simulate(PROFILE).events


def _objective() -> list[Event]:
    """Launches slow down with the count, and an objective is missed before anything is full."""
    slow = replace(PROFILE.simulated, launch_growth=40.0, failure_share=0.0)
    objectives = Objectives(ready_p95_seconds=1.2)
    return simulate(replace(PROFILE, simulated=slow, objectives=objectives)).events


def _interrupted() -> list[Event]:
    async def interrupt(controller: Controller, _: SimulatedEngine) -> None:
        await anyio.sleep(24.2)
        controller.interrupt()

    return simulate(PROFILE, during=interrupt).events


def _error() -> list[Event]:
    """An image that is not there ends the run before anything is launched."""
    web, db = PROFILE.workloads
    return simulate(replace(PROFILE, workloads=(web, replace(db, image="missing")))).events


def _most() -> list[Event]:
    return simulate(replace(PROFILE, ramp=replace(PROFILE.ramp, max_instances=30))).events


def _forecast() -> list[Event]:
    return simulate(replace(PROFILE, ramp=replace(PROFILE.ramp, until="forecast", start=4))).events


def _cut_off() -> list[Event]:
    """The tester was killed amid a wave."""
    events = _ceiling()
    return events[: 2 * len(events) // 3]


def _all_failed() -> list[Event]:
    """No instance ever becomes ready."""
    return simulate(replace(PROFILE, workloads=(replace(PROFILE.workloads[0], image="exits"),))).events


def _last_failed() -> list[Event]:
    """Of the last wave nothing becomes ready: the slice has no room for one more."""
    host = replace(PROFILE.simulated, failure_share=0.0)
    ramp = Ramp(shape="linear", start=10, step=10, until="failure", calibrate=0)
    web = PROFILE.workloads[:1]
    return simulate(replace(PROFILE, workloads=web, slice=Slice(tasks=200), ramp=ramp, simulated=host)).events


def _large() -> list[Event]:
    """Five thousand instances."""
    host = replace(PROFILE.simulated, cpus=64, memory_bytes=100 * GIB, failure_share=0.01, launch_seconds=0.05)
    return simulate(replace(PROFILE, simulated=host, ramp=replace(PROFILE.ramp, max_instances=5000))).events


def _hostile() -> list[Event]:
    return [hostile(event) for event in _ceiling()]


def _real() -> list[Event]:
    """`density run quickstart` on 2 CPUs and 24 GiB: containers and emulated VMs, until a slice of 3 GiB was full."""
    text = gzip.decompress((Path(__file__).parent / "real" / "quickstart.jsonl.gz").read_bytes()).decode()
    return [decode(line) for line in text.splitlines()]


RUNS: Mapping[str, Callable[[], list[Event]]] = {
    "ceiling": _ceiling,
    "objective": _objective,
    "interrupted": _interrupted,
    "error": _error,
    "max": _most,
    "forecast": _forecast,
    "cut-off": _cut_off,
    "all-failed": _all_failed,
    "last-failed": _last_failed,
    "hostile": _hostile,
    "large": _large,
    "real": _real,
}


@cache
def events_of(name: str) -> Sequence[Event]:
    """Everything that happened in one of RUNS."""
    return RUNS[name]()


def record(events: Sequence[Event], run_dir: Path) -> Path:
    """Write a record of these events into a new directory, which is returned."""
    run_dir.mkdir(parents=True)

    async def write() -> None:
        async with RecordWriter(run_dir / RECORD) as writer:
            for event in events:
                writer.handle(event)

    anyio.run(write)
    return run_dir


def recorded(name: str, directory: Path) -> Path:
    """A run's directory, below `directory`, with the record of one of RUNS."""
    return record(events_of(name), directory / name)


def hostile(event: Event) -> Event:
    """The event with every word that comes from outside replaced by one that a page must not obey."""
    changes: dict[str, Any] = {}
    match event:
        case RunStarted():
            workloads = tuple(replace(each, name=_named(each.name), image=HOSTILE) for each in event.workloads)
            changes = {"profile_name": HOSTILE, "workloads": workloads}
        case HostFound():
            changes = {"facts": {**event.facts, "cpu_model": HOSTILE, HOSTILE: HOSTILE}}
        case EngineFound():
            changes = {"engine": EngineInfo(name="simulated", version=LONG, endpoint=HOSTILE)}
        case InstanceChanged():
            failure = Failure(HOSTILE[:40], LONG, (HOSTILE, LONG)) if event.failure else None
            details = {"kernel": HOSTILE} if event.phase is Phase.READY else {}
            changes = {"workload": _named(event.workload), "failure": failure, "details": details}
        case Stopped():
            changes = {"reason": LONG}
        case StageEntered():
            return Warned(event.at, LONG) if event.stage == "hold" else event
        case HostSampled():
            changes = {"values": {**event.values, **_BRIDGE}}
        case _:
            return _renamed(event)
    return replace(event, **changes)


_BRIDGE = {f"network.bridge.{HOSTILE}.ports_count": 900.0}


def _renamed(event: Event) -> Event:
    """With the workloads' new names, wherever an event has some."""
    changes: dict[str, Any] = {}
    for field in ("sizes", "counts", "counts_before", "counts_after"):
        if found := getattr(event, field, None):
            changes[field] = {_named(name): count for name, count in found.items()}
    if isinstance(event, WaveSettled):
        changes["values"] = {**event.values, **_BRIDGE}
    if isinstance(event, WorkloadPrepared | ProbeMeasured):
        changes["workload"] = _named(event.workload)
    return replace(event, **changes)


def _named(name: str) -> str:
    """Still two workloads, and one of them with a name of ten thousand letters."""
    return f"{name} {HOSTILE}" if name == "web" else f"{name} {LONG}"
