"""What density itself takes is part of what is used, and no cost of an instance."""

import pytest

from density.capacity.forecast import outlook
from density.capacity.overhead import OWN, SHARED, UNIT, overhead
from density.capacity.plan.measured import _busy_cpus
from density.ceilings.catalog import BY_ID
from density.ceilings.reading import Bounds
from density.events import HostSampled, InstanceChanged, RunStarted, WaveSettled, WaveStarted
from density.model import Phase, Workload, instance_name
from density.profile.spec import Reserve
from density.state import Point, RunState

WEB = Workload(name="web", engine="simulated")
COST = {"tasks": 2.0, "files": 6.0, "memory": 10e6, "inotify": 0.0}
NO_RESERVE = Bounds(Reserve(memory_bytes=0, tasks=0, files=0))


def host(count: int, *, own: float) -> dict[str, float]:
    """A host with so many instances, on which density takes `own` of everything (of memory so many megabytes)."""
    return {
        "tasks.count": 100 + COST["tasks"] * count + own,
        "tasks.pid_max": 10_000.0,
        "tester.threads": own,
        "files.open": 1000 + COST["files"] * count + own,
        "files.max": 100_000.0,
        "tester.fds": own,
        "memory.total_bytes": 64e9,
        "memory.available_bytes": 60e9 - COST["memory"] * count - 1e6 * own,
        "tester.rss_bytes": 1e6 * own,
        "memory.overcommit_mode": 2.0,
        "memory.committed_bytes": 5e9 + COST["memory"] * count + 8e6 * own,
        "memory.commit_limit_bytes": 32e9,
        "tester.committed_bytes": 8e6 * own,
        "inotify.uid0.instances_count": 3 + COST["inotify"] * count + own,
        "inotify.uid0.shared_instances_count": 1 + own,
        "inotify.instances_limit": 128.0,
    }


def ramp(*waves: tuple[int, float]) -> RunState:
    """The state after rests at these counts, with what density itself took at each of them."""
    state = RunState()
    state.apply(
        RunStarted(
            0.0, run_id="r", wall=0.0, density_version="0", profile_name="p", until="safe", workloads=(WEB,),
            max_instances=10_000,
        )
    )  # fmt: skip
    now, alive = 0.0, 0
    for wave, (count, own) in enumerate(waves):
        state.apply(WaveStarted(now, wave, {}, count))
        for number in range(alive, count):
            now += 0.1
            state.apply(InstanceChanged(now, instance_name("web", number), "web", Phase.READY))
        alive, since = count, now
        for _ in range(4):
            now += 1.0
            state.apply(HostSampled(now, host(count, own=own), 0.0))
        state.apply(WaveSettled(now, since, wave, {"web": count}, state.host, {}))
    return state


WAVES = ((0, 20.0), (4, 25.0), (12, 36.0), (24, 50.0), (48, 75.0))
"""density's threads, files, memory and followers grow with the run."""


@pytest.mark.parametrize(
    ("key", "cost"),
    [
        (("tasks.pid_max", ""), COST["tasks"]),
        (("files.file_max", ""), COST["files"]),
        (("memory.available", ""), COST["memory"]),
        (("memory.commit", ""), COST["memory"]),
        (("inotify.instances", "uid0"), COST["inotify"]),
    ],
)
def test_a_footprint_has_nothing_of_density_in_it(key: tuple[str, str], cost: float) -> None:
    """Although its own use grew with the count, an instance costs what an instance takes."""
    state = ramp(*WAVES)
    lines = outlook(state, values=state.host, workloads=(WEB,), bounds=NO_RESERVE).lines
    assert lines[key].slopes[0] == pytest.approx(cost, abs=1e-6 * max(1.0, cost))


def test_what_density_takes_now_is_taken_all_the_same() -> None:
    """A forecast has room for the instances beside density as it is: (10,000 - 100 - 75) / 2 tasks."""
    state = ramp(*WAVES)
    found = outlook(state, values=state.host, workloads=(WEB,), bounds=NO_RESERVE).forecast()
    tasks = next(ceiling for ceiling in found if ceiling.ceiling == "tasks.pid_max")
    assert tasks.count == pytest.approx((10_000 - 100 - 75) // 2, abs=1)
    assert tasks.used == 100 + 2 * 48 + 75


@pytest.mark.parametrize("ceiling", sorted({*OWN, *UNIT, *SHARED}))
def test_what_is_left_out_belongs_to_a_ceiling(ceiling: str) -> None:
    """Each name is one of the catalogue."""
    assert ceiling in BY_ID


def test_limits_of_others_have_no_part_of_density() -> None:
    """The slice and the daemons' units are not where density lives; its own unit is."""
    values = {"tester.threads": 9.0}
    assert overhead(("tasks.cgroup", ""), values) == 0
    assert overhead(("tasks.cgroup", "dockerd"), values) == 0
    assert overhead(("tasks.cgroup", "tester"), values) == 9
    assert overhead(("files.process", "tester"), values) == 0


def test_cpu_of_density_is_not_that_of_instances() -> None:
    """Where no slice tells what instances used, it is what the CPUs did but for density: 8 of 10 s in 10."""
    rest = [
        Point(at, {"web": 4}, {"cpu.busy_seconds": busy, "cpu.count": 2.0, "cpu.busy_ratio": 0.9, **own})
        for at, busy, own in (
            (0.0, 100.0, {"tester.cpu_seconds": 5.0}),
            (1.0, 100.1, {"tester.cpu_seconds": 5.1}),
            (10.0, 110.0, {"tester.cpu_seconds": 7.0}),
        )
    ]
    found = _busy_cpus(rest)
    assert found is not None
    assert found.use == pytest.approx(0.8)
