"""What a ramp of one subject tells the comparison, on simulated hosts, whose truth is known."""

from collections import Counter
from copy import copy
from dataclasses import replace

import pytest
from support.simulation import Simulated, simulate

from density.capacity.capacities import capacities
from density.capacity.versus.fit import how_many
from density.capacity.versus.memory import TOTAL, Cost, memory_costs
from density.capacity.versus.ran import RAMPED, figures_of_run
from density.ceilings.catalog import readings
from density.model import GuestName
from density.profile.load import load_profile
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.state import RunState

MIB = 2**20


@pytest.fixture(scope="module")
def profile() -> Profile:
    """The simulated host of the shipped profile, with one of its workloads, of 200 MiB each."""
    whole = load_profile("simulated", overrides=["ramp.until=forecast", "ramp.max=40"])
    return replace(whole, workloads=tuple(each for each in whole.workloads if each.name == "db"))


@pytest.fixture(scope="module")
def run(profile: Profile) -> Simulated:
    """Its ramp."""
    return simulate(profile)


def test_a_ramp_gives_its_starts_and_its_capacity(run: Simulated, profile: Profile) -> None:
    """The same numbers as the run's own result: none is worked out a second time in another way."""
    bounds = bounds_of(profile)
    found = {(figure.row, figure.name): figure for figure in figures_of_run(run.state, bounds, "db")}
    hard = capacities(run.state, bounds).hard
    count = found["capacity", "count"]
    assert (count.samples, count.low, count.high, count.words) == ((hard.count,), hard.low, hard.high, hard.kind)
    assert found["capacity", "verdict"].words == "memory.available"
    assert found["start", "density.ready"].samples == tuple(run.state.workloads["db"].ready_seconds)
    assert found["start", "density.count"].samples == (run.state.peak.count,)


def test_the_memory_of_one_more_is_the_truth_within_its_interval(run: Simulated, profile: Profile) -> None:
    """The simulated host's 200 MiB an instance."""
    cost = memory_costs(run.state, bounds_of(profile))["total"]
    assert cost.known
    assert cost.low <= 200 * MIB <= cost.high


@pytest.mark.parametrize(
    ("guest", "why"), [("null", "no kernel to report"), ("disk", "the payload, which reports it, does not run in it")]
)
def test_why_no_kernel_is_reported(run: Simulated, profile: Profile, guest: GuestName, why: str) -> None:
    """A boot sector has none; a whole system has one, and nobody in it who tells."""
    state = copy(run.state)
    ramped = state.workloads["db"]
    state.workloads = {"db": replace(ramped, workload=replace(ramped.workload, guest=guest), kernels=Counter())}
    (kernel,) = (figure for figure in figures_of_run(state, bounds_of(profile), "db") if figure.row == "kernels")
    assert why in kernel.why


def test_where_free_memory_tells_nothing_the_cgroup_bounds_the_count(run: Simulated, profile: Profile) -> None:
    """On a busy host the forecast sees no end of the memory; what each is charged ends it all the same."""
    bounds, state = bounds_of(profile), run.state
    noise = {"total": Cost(5, -9, 19), "instance": Cost(400 * MIB, 300 * MIB, 500 * MIB)}
    room = next(each.room for each in readings(state.settled[-1].values, bounds) if each.key == TOTAL)
    found = how_many(state, bounds, noise)
    alive = sum(state.settled[-1].counts.values())
    assert found.count == alive + room // (400 * MIB)
    assert found.low == alive + room // (500 * MIB)
    assert found.first == "memory.available"
    assert "by the memory of its own cgroup" in found.words


def test_a_cgroup_does_not_bound_what_is_known(run: Simulated, profile: Profile) -> None:
    """Where the whole cost is known, or the cgroup tells nothing either, the run's own capacity stands."""
    bounds = bounds_of(profile)
    hard = capacities(run.state, bounds).hard
    huge = Cost(2**40, 2**40, 2**40)
    for memory in ({"total": Cost(1, 1, 1), "instance": huge}, {"total": Cost(), "instance": Cost(1, -1, 3)}):
        assert how_many(run.state, bounds, memory).count == hard.count


def test_a_ramp_without_one_instance_says_why(profile: Profile) -> None:
    """Nothing became ready: no capacity of 0 is claimed, every figure has the reason."""
    found = list(figures_of_run(RunState(), bounds_of(profile), "db"))
    assert [(figure.row, figure.name) for figure in found] == list(RAMPED)
    assert all(figure.why.startswith("not one was ready when the ramp ended") for figure in found)
