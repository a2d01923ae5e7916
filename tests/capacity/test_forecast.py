"""Footprint and forecast: from points at rest to where each ceiling lies."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.capacity.footprint import line
from density.capacity.forecast import outlook
from density.ceilings.reading import Bounds
from density.events import CeilingForecast, HostSampled, InstanceChanged, RunStarted, WaveSettled, WaveStarted
from density.model import Phase, Workload, instance_name
from density.profile.spec import Reserve
from density.state import RunState

WEB = Workload(name="web", engine="simulated", share=3)
DB = Workload(name="db", engine="simulated", share=1)
NO_RESERVE = Bounds(Reserve(memory_bytes=0, tasks=0, files=0))


def measured(
    *counts: tuple[int, int],
    costs: tuple[float, float] = (2.0, 5.0),
    noise: float = 0.0,
    seed: int = 0,
    late: float = 0.0,
    leak: float = 0.0,
    samples: int = 4,
) -> RunState:
    """The state of a ramp whose webs and dbs cost so many of 1,000 tasks, 100 in use before; rests at these counts.

    Args:
        noise: standard deviation of a reading.
        late: share of an instance's cost that comes with a time constant of 4 s after it is ready.
        leak: tasks that vanish a second.
        samples: a second apart, at each rest.
    """
    chance = random.Random(seed)
    state = RunState()
    state.apply(
        RunStarted(
            0.0, run_id="r", wall=0.0, density_version="0", profile_name="p", until="safe", workloads=(WEB, DB),
            max_instances=10_000,
        )
    )  # fmt: skip
    alive: list[tuple[float, float]] = []
    numbers = {"web": 0, "db": 0}
    now = 0.0
    for wave, (web, db) in enumerate(counts):
        state.apply(WaveStarted(now, wave, {}, web + db))
        for name, wanted, cost in (("web", web, costs[0]), ("db", db, costs[1])):
            for number in range(numbers[name], wanted):
                now += 0.1
                state.apply(InstanceChanged(now, instance_name(name, number), name, Phase.READY))
                alive.append((now, cost))
            numbers[name] = wanted
        since = now
        for _ in range(samples):
            now += 1.0
            use = 100 + leak * now + chance.gauss(0, noise)
            use += sum(cost * (1 - late * math.exp((at - now) / 4)) for at, cost in alive)
            state.apply(HostSampled(now, {"tasks.count": use, "tasks.pid_max": 1000.0}, 0.0))
        state.apply(WaveSettled(now, since, wave, dict(numbers), state.host, {}))
    return state


def look(state: RunState, *workloads: Workload, bounds: Bounds = NO_RESERVE) -> CeilingForecast:
    """The nearest ceiling from this state."""
    return outlook(state, values=state.host, workloads=workloads, bounds=bounds).forecast()[0]


@given(st.floats(0, 1e10), st.floats(0.1, 1e8), st.lists(st.integers(0, 5000), min_size=3, max_size=20, unique=True))
def test_a_straight_line_is_found_exactly(base: float, cost: float, counts: list[int]) -> None:
    """Without noise the footprint is the true cost, whatever the scale."""
    column = np.array(counts, dtype=float)[:, None]
    found = line(column, base + cost * column[:, 0], ("web",))
    assert found is not None
    assert found.footprint()["web"][0] == pytest.approx(cost, rel=1e-6, abs=1e-12 * base)


@given(st.floats(0.1, 1e10), st.lists(st.integers(0, 5000), min_size=3, max_size=20, unique=True))
def test_what_does_not_move_costs_nothing(base: float, counts: list[int]) -> None:
    """Exactly 0, or a plan would count a resource by how this CPU rounds."""
    found = line(np.array(counts, dtype=float)[:, None], np.full(len(counts), base), ("web",))
    assert found is not None
    assert found.slopes.tolist() == [0.0]


def test_two_workloads_calibrated_alone_have_costs_of_their_own() -> None:
    """Points where each grew alone tell the two apart."""
    found = line(np.array([[0, 0], [4, 0], [4, 4]], dtype=float), np.array([100.0, 108.0, 128.0]), ("web", "db"))
    assert found is not None
    assert found.slopes == pytest.approx([2, 5])


def test_two_workloads_that_only_grow_together_cannot_be_told_apart() -> None:
    """Then there is no footprint, rather than an arbitrary one."""
    counts = np.array([[n, n] for n in range(5)], dtype=float)
    assert line(counts, 100 + 7 * counts[:, 0], ("web", "db")) is None


def test_one_wild_point_does_not_move_the_line() -> None:
    """A page cache dropped at one moment is outvoted."""
    counts = np.arange(0.0, 200.0, 10.0)
    use = 100 + 2 * counts
    use[7] += 500
    found = line(counts[:, None], use, ("web",))
    assert found is not None
    assert found.slopes[0] == pytest.approx(2, rel=0.01)


def test_the_forecast_goes_on_in_the_mix_of_the_shares() -> None:
    """Three webs (2 tasks) to one db (5): 2.75 each; 900 free tasks are 327 of them, also with too many dbs so far."""
    found = look(measured((0, 0), (3, 0), (3, 4), (9, 5)), WEB, DB)
    assert found.ceiling == "tasks.pid_max"
    assert found.count == pytest.approx((1000 - 100) / 2.75)


def test_the_reserve_comes_off_the_limit() -> None:
    """100 tasks in reserve are 50 webs fewer."""
    state = measured((0, 0), (10, 0), (20, 0))
    with_reserve = look(state, WEB, bounds=Bounds(Reserve(tasks=100)))
    assert look(state, WEB).count - with_reserve.count == pytest.approx(50)


def test_before_anything_is_measured_typical_costs_stand_in() -> None:
    """A host without instances has no slope; the interval says how little is known."""
    found = look(measured((0, 0)), Workload(name="web", engine="docker"))
    assert found.low < found.count < found.high
    assert found.high / found.low > 2


def test_what_does_not_grow_is_never_reached() -> None:
    """A constant use has no forecast count."""
    state = measured((0, 0), (10, 0), (20, 0), costs=(0.0, 0.0))
    assert look(state, WEB).count == math.inf


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 500 noisy ramps, about 95 % have the true count of 450 inside their interval."""
    inside = 0
    for seed in range(500):
        found = look(measured(*((n, 0) for n in range(0, 60, 5)), noise=2.0, seed=seed), WEB)
        inside += found.low <= 450 <= found.high
    assert 0.92 <= inside / 500 <= 0.98


def test_what_comes_late_is_not_missed() -> None:
    """Three tenths of each cost come seconds after ready; the forecast is within 1 % of the truth all the same."""
    waves = [(n, 0) for n in (0, 4, 8, 16, 32, 64, 100)]
    assert look(measured(*waves, noise=0.1, late=0.3, samples=12), WEB).count == pytest.approx(450, rel=0.01)


def test_a_slow_leak_is_hardly_a_cost_of_instances() -> None:
    """A task that vanishes every 50 seconds moves the footprint by less than 1 %."""
    waves = [(n, 0) for n in (0, 4, 8, 16, 32, 64, 100)]
    state = measured(*waves, noise=0.1, leak=0.02)
    found = outlook(state, values=state.host, workloads=[WEB], bounds=NO_RESERVE)
    assert found.lines["tasks.pid_max", ""].slopes[0] == pytest.approx(2, rel=0.01)


@given(st.integers(1, 400).filter(lambda count: count != 200))
def test_a_wave_crosses_the_reserve_exactly_where_the_line_does(count: int) -> None:
    """Without noise, 450 - 20 = 430 more webs fit and 431 do not."""
    state = measured((0, 0), (10, 0), (20, 0))
    known = outlook(state, values=state.host, workloads=[WEB], bounds=NO_RESERVE)
    assert bool(list(known.crossed_by({"web": count + 230}))) == (count + 230 > 430)


def test_a_line_through_two_points_is_as_uncertain_as_they_are() -> None:
    """Two points leave no residual; their own errors, 3 and 4, make 5 over a distance of 10, with Student's t for 1."""
    found = line(np.array([[0.0], [10.0]]), np.array([100.0, 200.0]), ("web",), errors=np.array([3.0, 4.0]), noise=3.0)
    assert found is not None
    value, low, high = found.footprint()["web"]
    assert value == pytest.approx(10.0)
    assert (high - low) / 2 == pytest.approx(12.71 * 0.5)


def test_what_is_full_already_has_its_ends_in_order() -> None:
    """Where typical costs are all that is known and the reserve is crossed already, low stays below high."""
    values = {"tasks.count": 1200.0, "tasks.pid_max": 1000.0}
    (found,) = outlook(RunState(), values=values, workloads=[WEB], bounds=NO_RESERVE).forecast()
    assert found.low < found.count < found.high < 0


@pytest.mark.parametrize("seed", range(20))
def test_an_interval_never_reaches_below_what_runs(seed: int) -> None:
    """Three points in noise as large as their slope: what is alive fits, whatever the line says."""
    found = look(measured((0, 0), (4, 0), (8, 0), noise=8.0, seed=seed), WEB)
    if math.isfinite(found.count):
        assert found.low >= min(8, found.count)
        assert found.low <= found.count <= found.high


def test_an_interval_wider_than_its_count_answers_nothing() -> None:
    """`3,062 (8 to 6,515)` is no answer; an interval of two per cent is one, and typical costs claim none."""
    entry = CeilingForecast("tasks.pid_max", "", 0.0, 1000.0, 0.0, 3062.0, 8.0, 6515.0)
    assert entry.is_vague
    assert not replace(entry, low=3000.0, high=3100.0).is_vague
    assert not replace(entry, typical=True).is_vague
