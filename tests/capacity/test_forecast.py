"""Footprint and forecast: from settled points to where each ceiling lies."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.capacity.footprint import fit
from density.capacity.forecast import forecast
from density.ceilings.reading import Bounds
from density.events import CeilingForecast, WaveSettled
from density.model import Workload
from density.profile.spec import Reserve

WEB = Workload(name="web", engine="simulated", share=3)
DB = Workload(name="db", engine="simulated", share=1)
NO_RESERVE = Bounds(Reserve(memory_bytes=0, tasks=0, files=0))


def values(tasks: float, limit: float = 1000) -> dict[str, float]:
    """A host that tells of its tasks alone."""
    return {"tasks.count": tasks, "tasks.pid_max": limit}


def points(*counts: tuple[int, int], noise: float = 0.0, seed: int = 0) -> list[WaveSettled]:
    """Settled points of a host where a web costs 2 tasks, a db 5, and 100 are in use before."""
    chance = random.Random(seed)
    return [
        WaveSettled(float(i), i, {"web": web, "db": db}, values(100 + 2 * web + 5 * db + chance.gauss(0, noise)), {})
        for i, (web, db) in enumerate(counts)
    ]


def look(settled: list[WaveSettled], *workloads: Workload, bounds: Bounds = NO_RESERVE) -> CeilingForecast:
    """The nearest ceiling from these points."""
    last = settled[-1]
    return forecast(settled, values=last.values, counts=last.counts, workloads=workloads, bounds=bounds)[0]


@given(st.floats(0, 1e10), st.floats(0.1, 1e8), st.lists(st.integers(0, 5000), min_size=3, max_size=20, unique=True))
def test_a_straight_line_is_found_exactly(base: float, cost: float, counts: list[int]) -> None:
    """Without noise the footprint is the true cost, whatever the scale."""
    line = fit([{"web": count} for count in counts], [base + cost * count for count in counts], ("web",))
    assert line is not None
    assert line.footprint()["web"][0] == pytest.approx(cost, rel=1e-6, abs=1e-12 * base)


def test_two_workloads_calibrated_alone_have_costs_of_their_own() -> None:
    """Points where each grew alone tell the two apart."""
    line = fit([{"web": 0, "db": 0}, {"web": 4}, {"web": 4, "db": 4}], [100, 108, 128], ("web", "db"))
    assert line is not None
    assert line.slopes == pytest.approx([2, 5])


def test_two_workloads_that_only_grow_together_cannot_be_told_apart() -> None:
    """Then there is no footprint, rather than an arbitrary one."""
    assert fit([{"web": n, "db": n} for n in range(5)], [100 + 7 * n for n in range(5)], ("web", "db")) is None


def test_one_wild_point_does_not_move_the_line() -> None:
    """A page cache dropped at one moment is outvoted."""
    counts = list(range(0, 200, 10))
    use = [100.0 + 2 * count for count in counts]
    use[7] += 500
    line = fit([{"web": count} for count in counts], use, ("web",))
    assert line is not None
    assert line.slopes[0] == pytest.approx(2, rel=0.01)


def test_the_forecast_goes_on_in_the_mix_of_the_shares() -> None:
    """Three webs (2 tasks) to one db (5): 2.75 each; 900 free tasks are 327 instances."""
    found = look(points((0, 0), (3, 0), (3, 4), (9, 5)), WEB, DB)
    assert found.ceiling == "tasks.pid_max"
    now = 100 + 2 * 9 + 5 * 5
    assert found.count == pytest.approx(14 + (1000 - now) / 2.75)


def test_the_reserve_comes_off_the_limit() -> None:
    """100 tasks in reserve are 50 webs fewer."""
    settled = points((0, 0), (10, 0), (20, 0))
    with_reserve = look(settled, WEB, bounds=Bounds(Reserve(tasks=100)))
    assert look(settled, WEB).count - with_reserve.count == pytest.approx(50)


def test_before_anything_is_measured_typical_costs_stand_in() -> None:
    """One point has no slope; the interval says how little is known."""
    found = look(points((0, 0)), Workload(name="web", engine="docker"))
    assert found.low < found.count < found.high
    assert found.high / found.low > 2


def test_what_does_not_grow_is_never_reached() -> None:
    """A constant use has no forecast count."""
    settled = [WaveSettled(float(n), n, {"web": n}, values(100), {}) for n in range(5)]
    assert look(settled, WEB).count == math.inf


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 500 noisy ramps, about 95 % have the true count of 450 inside their interval."""
    inside = 0
    for seed in range(500):
        found = look(points(*((n, 0) for n in range(0, 60, 5)), noise=2.0, seed=seed), WEB)
        inside += found.low <= 450 <= found.high
    assert 0.92 <= inside / 500 <= 0.98
