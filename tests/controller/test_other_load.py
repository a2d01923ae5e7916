"""A ramp on a host on which something else happens, on the simulated engine in virtual time."""

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from support.hosts import mean_cost, random_host
from support.simulation import Simulated, simulate

from density.capacity.capacities import capacities
from density.ceilings.judge import judge
from density.events import Stopped
from density.model import Workload
from density.profile.spec import Profile, Ramp, SimulatedHost
from density.ramp.decide import bounds_of, look_ahead

MIB = 2**20
GIB = 2**30
PROFILE = Profile(
    name="test",
    workloads=(Workload(name="web", engine="simulated"),),
    ramp=Ramp(calibrate=2, hold_seconds=10),
    simulated=SimulatedHost(
        memory_bytes=24 * GIB,
        used_memory_bytes=2 * GIB,
        costs={"web": {"tasks": 13, "memory_bytes": 12 * MIB, "files": 20}},
        noise=0.0002,
        seed=4,
    ),
)
OTHERS: Mapping[str, Mapping[str, float]] = {
    "threads": {"other_tasks": 900},
    "memory, at a rest": {"other_memory_bytes": 3 * GIB // 2},
    "a sixth of the threads": {"other_tasks": 5756},
    "a sixth of the threads, at a rest": {"other_tasks": 5756, "other_from_seconds": 9.5},
    "a sixth of the memory": {"other_memory_bytes": 4 * GIB},
    "half of the memory that is left, in the first wave": {"other_memory_bytes": 10 * GIB, "other_from_seconds": 3.0},
    "memory, between two waves": {"other_memory_bytes": 3 * GIB // 2, "other_from_seconds": 9.5},
    "memory that is freed again": {"other_memory_bytes": 3 * GIB // 2, "other_until_seconds": 24.0},
}


def reserves_of(profile: Profile) -> dict[str, float]:
    """What the host keeps of each resource."""
    memory = profile.reserve.memory_of(profile.simulated.memory_bytes)
    return {"memory_bytes": float(memory), "tasks": profile.reserve.tasks, "files": profile.reserve.files}


def beside(**other: float) -> Simulated:
    """A ramp beside which something else begins while density calibrates."""
    spec = {"other_from_seconds": 3.5} | other
    return simulate(replace(PROFILE, simulated=replace(PROFILE.simulated, **spec)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OTHERS)
def test_what_something_else_takes_ends_no_ramp(name: str) -> None:
    """The ramp goes on to what fits beside it, within 3 %, and is sure of what stops it."""
    run = beside(**OTHERS[name])
    reserves = reserves_of(PROFILE)
    if "other_until_seconds" not in OTHERS[name]:
        reserves = {key: value + OTHERS[name].get(f"other_{key}", 0) for key, value in reserves.items()}
    truth = run.host.true_maximum("web", reserves=reserves)
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "ceiling"
    assert 0.97 * truth <= run.state.peak.count <= truth
    assert capacities(run.state, bounds_of(PROFILE)).recommended.count >= 0.97 * truth
    assert all(run.host.lowest_room[name] >= reserves_of(PROFILE)[name] for name in reserves)
    ahead = look_ahead(PROFILE, run.state)
    verdict = judge(run.state, bounds_of(PROFILE), ahead.costs(), ahead.typical)
    assert verdict is not None
    assert verdict.confidence is not None
    assert verdict.confidence > 0.5


def test_it_is_warned_of_and_rested_from_once_more() -> None:
    """Two rests at the same count, and a sentence that names the ceiling."""
    run = beside(other_memory_bytes=4 * GIB, other_from_seconds=9.5)
    counts = [point.count for point in run.state.settled]
    assert any(before == after for before, after in pairwise(counts))
    assert any("memory.available" in warning for warning in run.state.warnings)


def test_a_ramp_on_a_quiet_host_rests_once_a_wave_and_warns_of_nothing() -> None:
    """Noise alone is no load of something else."""
    run = simulate(PROFILE)
    counts = [point.count for point in run.state.settled]
    assert len(counts) == len(set(counts))
    assert not run.state.warnings


@pytest.mark.parametrize("seed", range(24))
def test_a_load_of_any_size_and_time_leaves_the_ramp_near_the_truth(seed: int) -> None:
    """Up to 45 % of a random host's room goes elsewhere, and may come back: 0.9 of what fits, and each reserve kept."""
    chance = random.Random(seed)
    profile = random_host(seed, most=1000).profile
    host, reserves = replace(profile.simulated, leak_bytes_per_second=0), reserves_of(profile)
    limits = {"memory_bytes": host.memory_bytes, "tasks": host.tasks, "files": host.files}
    base = {"memory_bytes": host.used_memory_bytes, "tasks": host.used_tasks, "files": host.used_files}
    what, since = chance.choice(("memory_bytes", "tasks")), chance.uniform(1, 20)
    until = chance.choice((0.0, since + chance.uniform(2, 60)))
    other = int(chance.uniform(0.02, 0.45) * (limits[what] - base[what] - reserves[what]))
    spec = {f"other_{what}": other, "other_from_seconds": since, "other_until_seconds": until}
    run = simulate(
        replace(
            profile,
            ramp=replace(profile.ramp, hold_seconds=0),
            simulated=replace(host, **spec),  # type: ignore[arg-type]
        )
    )
    ended = next(event for event in run.events if isinstance(event, Stopped))
    stays = not until or ended.at < until
    fits = min(
        (limits[name] - base[name] - reserves[name] - (other if stays and name == what else 0))
        / mean_cost(profile.workloads, host.costs, name)
        for name in limits
    )
    assert ended.outcome == "ceiling"
    assert 0.9 * fits <= run.state.peak.count <= fits + 1
    assert all(run.host.lowest_room[name] >= reserves[name] - 1e-6 * limits[name] for name in limits)
