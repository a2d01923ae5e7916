"""Whole ramps on simulated hosts whose truth is known."""

import random

import pytest
from support.simulation import simulate

from density.events import WaveStarted
from density.model import Workload
from density.profile.spec import Profile, Ramp, Reserve, SimulatedHost, Slice, Until

MIB = 2**20
GIB = 2**30


def random_profile(seed: int, *, until: Until = "safe") -> Profile:
    """A host of any size with a workload of any cost; which resource binds is left to chance."""
    chance = random.Random(seed)
    memory = chance.choice((4, 16, 64, 256)) * GIB
    return Profile(
        name=f"random-{seed}",
        workloads=(Workload(name="web", engine="simulated", ready_timeout_seconds=1e6),),
        ramp=Ramp(
            shape=chance.choice(("geometric", "linear")),
            start=chance.randint(1, 20),
            step=chance.randint(20, 120),
            factor=chance.uniform(1.2, 3.0),
            until=until,
            calibrate=chance.randint(1, 6),
            hold_seconds=30,
        ),
        reserve=Reserve(memory_bytes=memory // 10, tasks=500, files=500),
        simulated=SimulatedHost(
            cpus=chance.choice((2, 8, 64)),
            memory_bytes=memory,
            used_memory_bytes=memory // 20,
            tasks=chance.choice((4096, 32768)),
            files=chance.choice((20_000, 200_000)),
            costs={
                "web": {
                    "memory_bytes": chance.uniform(2, 300) * MIB,
                    "tasks": chance.uniform(1, 20),
                    "files": chance.uniform(4, 60),
                }
            },
            launch_seconds=chance.uniform(0.05, 3.0),
            launch_growth=chance.uniform(0.0, 3.0),
            seed=seed,
        ),
    )


@pytest.mark.parametrize("seed", range(200))
def test_a_safe_ramp_finds_the_true_maximum_and_keeps_the_reserve(seed: int) -> None:
    """The count at the end is the true maximum under the reserve, within the last wave, and no reserve was touched."""
    profile = random_profile(seed)
    run = simulate(profile)
    memory = profile.reserve.memory_of(profile.simulated.memory_bytes)
    reserves = {"memory_bytes": memory, "tasks": 500, "files": 500}
    truth = run.host.true_maximum("web", reserves=reserves)
    last_wave = [event for event in run.events if isinstance(event, WaveStarted)][-1]
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "ceiling"
    assert truth - sum(last_wave.sizes.values()) <= run.state.peak.count <= truth
    assert run.state.peak.count >= 0.98 * truth - 1
    assert all(run.host.lowest_room[name] >= reserve for name, reserve in reserves.items())
    assert run.state.workloads["web"].failed == 0


@pytest.mark.parametrize("seed", range(0, 200, 10))
def test_a_forecast_names_the_count_of_the_full_ramp_from_a_part_of_it(seed: int) -> None:
    """`until = "forecast"` says the same count as the full ramp, within 3 %, having launched less."""
    full = simulate(random_profile(seed))
    early = simulate(random_profile(seed, until="forecast"))
    assert early.state.forecast[0].count == pytest.approx(full.state.peak.count, rel=0.03, abs=1)
    assert early.state.peak.count <= full.state.peak.count


@pytest.mark.parametrize(("resource", "ceiling"), [("tasks", "tasks.cgroup"), ("memory_bytes", "memory.cgroup")])
def test_a_slice_is_hit_for_real_and_named(resource: str, ceiling: str) -> None:
    """With `until = "failure"` the ramp goes on until the slice refuses an instance, and the verdict is the slice."""
    limits = {"tasks": 100, "memory_bytes": 10 * GIB} | {resource: 50 if resource == "tasks" else 50 * MIB}
    profile = Profile(
        name="slice",
        workloads=(Workload(name="web", engine="simulated", touch_bytes=MIB // 2),),
        ramp=Ramp(until="failure"),
        slice=Slice(memory_bytes=limits["memory_bytes"], tasks=limits["tasks"]),
    )
    run = simulate(profile)
    assert run.state.outcome is not None
    assert run.state.outcome.ceiling == ceiling
    assert run.state.peak.count == 50
    assert 0 < run.state.workloads["web"].failed <= 4
