"""A small run with everything in it, and what metrics say of events."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from density.events import (
    CeilingForecast,
    EngineFound,
    Event,
    Forecasted,
    Held,
    HostFound,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    StageEntered,
    Stopped,
    TornDown,
    Warned,
    WaveSettled,
    WaveStarted,
)
from density.events import (
    TesterMeasured as CostMeasured,  # pytest collects what is called Test...
)
from density.metrics.collector import SnapshotCollector
from density.metrics.observer import Observer
from density.model import EngineInfo, Failure, Phase, Workload
from density.state import RunState

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

HOST = {
    "aio.requests_count": 0.0,
    "aio.requests_limit": 65536.0,
    "cgroups.memory_count": 180.0,
    "cpu.busy_ratio": 0.5,
    "cpu.count": 2.0,
    "host.boot_time_seconds": 1.6e9,
    "cpu.iowait_ratio": 0.01,
    "cpu.steal_ratio": 0.0,
    "daemon.dockerd.cpu_seconds": 12.0,
    "daemon.dockerd.fds": 60.0,
    "daemon.dockerd.fds_limit": 1024.0,
    "daemon.dockerd.rss_bytes": 9e7,
    "daemon.dockerd.threads": 30.0,
    "disk.root.available_bytes": 5e9,
    "disk.root.inodes": 1e6,
    "disk.root.inodes_free": 9e5,
    "disk.root.total_bytes": 9e9,
    "files.max": 1e6,
    "files.open": 2000.0,
    "load.one": 2.5,
    "memory.anon_bytes": 19e7,
    "memory.available_bytes": 20e9,
    "memory.cached_bytes": 6e8,
    "memory.kernelstack_bytes": 3e6,
    "memory.oom_kills": 0.0,
    "memory.pagetables_bytes": 6e6,
    "memory.slab_bytes": 7e8,
    "memory.swap_free_bytes": 0.0,
    "memory.swap_total_bytes": 0.0,
    "memory.total_bytes": 24e9,
    "mounts.host.count": 22.0,
    "mounts.limit": 100000.0,
    "network.backlog.dropped_count": 0.0,
    "network.bridge.br0.ports_count": 3.0,
    "network.conntrack.count": 5.0,
    "network.conntrack.limit": 262144.0,
    "network.devices_count": 4.0,
    "network.neighbours.v4.entries_count": 2.0,
    "network.neighbours.v4.entries_limit": 1024.0,
    "pressure.cpu.full_avg10_ratio": 0.0,
    "pressure.cpu.some_avg10_ratio": 0.1,
    "pressure.cpu.some_total_seconds": 31.0,
    "pressure.io.full_avg10_ratio": 0.0,
    "pressure.io.some_avg10_ratio": 0.0,
    "pressure.io.some_total_seconds": 19.0,
    "slice.anon_bytes": 5e7,
    "slice.cpu_seconds": 3.0,
    "slice.memory_bytes": 1e8,
    "slice.memory_limit_bytes": 1e9,
    "slice.oom_kills": 0.0,
    "slice.pressure.cpu.some_avg10_ratio": 0.1,
    "slice.tasks": 40.0,
    "slice.tasks_denied": 1.0,
    "slice.tasks_limit": 100.0,
    "tasks.count": 300.0,
    "tasks.pid_max": 32768.0,
    "tasks.running": 2.0,
    "tasks.threads_max": 190000.0,
    "tester.cpu_seconds": 1.5,
    "tester.fds": 96.0,
    "tester.rss_bytes": 5e7,
    "tester.threads": 12.0,
}


def beginning(instances: int = 10) -> list[Event]:
    """A run amid its ramp: every third launch fails, one instance is lost."""
    workloads = (Workload(name="web", engine="docker"), Workload(name="vm", engine="libvirt"))
    docker = EngineInfo(name="docker", version="20.10", endpoint="unix:///run/docker.sock")
    events: list[Event] = [
        RunStarted(0.0, "r1", 1.7e9, "0.1", "quick", "safe", workloads, 100, {}, {"tasks": 1600}),
        HostFound(0.0, {"kernel": "6.1", "cgroup_version": 2.0, "cpus": 2}),
        EngineFound(0.0, docker),
        StageEntered(0.5, "ramp"),
        WaveStarted(1.0, 1, {"web": instances}, instances),
    ]
    for number in range(instances):
        name = f"web-{number:05d}"
        events += [
            InstanceChanged(1.0, name, "web", Phase.REQUESTED),
            InstanceChanged(1.25, name, "web", Phase.CREATED),
            InstanceChanged(1.5, name, "web", Phase.STARTED),
        ]
        if number % 3 == 2:
            events.append(InstanceChanged(9.0, name, "web", Phase.FAILED, Failure("timeout", "late")))
        else:
            events.append(InstanceChanged(2.0, name, "web", Phase.READY))
    forecast = (
        CeilingForecast("tasks.cgroup", "", 40, 100, 0, 25.0, 24.0, 26.0),
        CeilingForecast("memory.available", "", 4, 24, 2, float("inf"), 90.0, float("inf")),
    )
    return [
        *events,
        InstanceChanged(9.0, "web-00000", "web", Phase.LOST, Failure("exited", "gone")),
        HostSampled(10.0, HOST, 0.001, {"memory": 2e-4, "disk.runs": 1.0}, {"disk.runs": "no answer for 1 s"}),
        ProbeMeasured(11.0, "web-00001", "web", 0.0001),
        ProbeMeasured(11.0, "web-00001", "web", 0.3),
        CostMeasured(12.0, 1.5, 5e7, 0.01, 0.2),
        Forecasted(12.0, forecast),
        Warned(12.0, "something"),
    ]


def ending() -> list[Event]:
    """How that run ends: two waves were read at rest, a ceiling stopped it, it was held and torn down."""
    settled: list[Event] = []
    for at, count in ((13.0, 2), (15.0, 6)):
        values = {**HOST, "tasks.count": 300.0 + 12 * count, "slice.tasks": 12.0 * count}
        settled += [
            HostSampled(at, values, 0.002, {"memory": 3e-4}),
            WaveSettled(at + 1, at - 0.5, 1, {"web": count, "vm": count // 2}, values, {}),
        ]
    settled[2:2] = [WaveStarted(14.0, 2, {"vm": 4}, 10)]
    at = 17.0
    third = {**HOST, "tasks.count": 300.0 + 12 * 6, "slice.tasks": 12.0 * 7}
    return [
        *settled,
        WaveStarted(at, 3, {"vm": 1}, 11),
        HostSampled(at + 1, third, 0.002, {"memory": 3e-4}),
        WaveSettled(at + 2, at + 0.5, 3, {"web": 6, "vm": 1}, third, {}),
        Stopped(at + 3, "ceiling", "no room", "tasks.cgroup", ""),
        StageEntered(at + 3, "hold"),
        Held(at + 4, {"web": 6}, {"web": 6}, (), kept=True),
        StageEntered(at + 4, "teardown"),
        TornDown(at + 5, 7, (), 0.5),
        StageEntered(at + 5, "done"),
    ]


def observe(events: Iterable[Event], *, per_instance: bool = False) -> Observer:
    """What has seen these events, and learned from them."""
    state = RunState()
    observer = Observer(state, per_instance=per_instance)
    for event in events:
        state.apply(event)
        observer.handle(event)
    if due := observer.due():
        observer.learn(due)
    return observer


def text_of(events: Iterable[Event], *, per_instance: bool = False) -> str:
    """What a scrape after these events gets."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(observe(events, per_instance=per_instance).take()))
    return generate_latest(registry).decode()


def series(text: str) -> Series:
    """The values by name and labels, but for `run_id`."""
    return {
        (
            sample.name,
            frozenset((name, value) for name, value in sample.labels.items() if name != "run_id"),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(text: str, name: str, **labels: str) -> float:
    """One value."""
    return series(text)[name, frozenset(labels.items())]
