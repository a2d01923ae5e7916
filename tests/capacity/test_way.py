"""The way ahead, against launching one instance after the other."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from density.capacity.outlook import counts_vector, mix
from density.capacity.way import snapped, until_taken, whole
from density.model import Workload
from density.shares import split

kinds = st.lists(st.tuples(st.floats(0.2, 20), st.floats(1, 50), st.integers(0, 20)), min_size=1, max_size=4)


def launched(workloads: list[Workload], alive: dict[str, int], costs: dict[str, float], room: float) -> int:
    """How many are alive when the next one has no room, each one launched as a ramp would."""
    alive = dict(alive)
    while True:
        (name,) = (name for name, count in split(1, workloads, alive).items() if count)
        if costs[name] > room:
            return sum(alive.values())
        room -= costs[name]
        alive[name] += 1


@given(kinds, st.floats(0, 5000))
def test_it_leads_where_launching_does(kinds: list[tuple[float, float, int]], room: float) -> None:
    """From any counts, such as those of a calibration: to the instance where the shares are reached, else to a few."""
    names = [f"w{index}" for index in range(len(kinds))]
    workloads = [
        Workload(name=name, engine="native", share=share) for name, (share, _, _) in zip(names, kinds, strict=True)
    ]
    costs = {name: cost for name, (_, cost, _) in zip(names, kinds, strict=True)}
    alive = {name: count for name, (_, _, count) in zip(names, kinds, strict=True)}
    counts, slopes = counts_vector(alive, workloads), np.array(list(costs.values()))
    at = until_taken(counts, mix(workloads), slopes, room)
    found = whole(float(at.sum()), workloads, counts, slopes, room)
    truth = launched(workloads, alive, costs, room)
    if (at >= counts + 2).all():
        # One that fits but for a rounding error may be counted or not.
        assert truth <= math.floor(found + 1e-9) <= launched(workloads, alive, costs, room * (1 + 1e-9))
    else:
        assert abs(found - truth) <= 1 + len(kinds) * max(costs.values()) / min(costs.values())


@given(st.integers(1, 10_000), st.integers(1, 100), st.integers(0, 50), st.floats(-1e-12, 1e-12))
def test_what_fits_exactly_is_whole(fits: int, cost: int, alive: int, rounding: float) -> None:
    """A fit that is off by a rounding error makes it neither one less nor a bit less."""
    workloads = [Workload(name="w", engine="native")]
    counts, slopes = np.array([float(alive)]), np.array([cost * (1 + rounding)])
    room = float(fits * cost)
    at = until_taken(counts, mix(workloads), slopes, room)
    assert snapped(whole(float(at.sum()), workloads, counts, slopes, room)) == alive + fits


def test_what_is_over_already_goes_back_in_the_mix() -> None:
    """Nothing is launched then; the count is below what is alive."""
    counts, shares, slopes = np.array([6.0, 2.0]), np.array([0.75, 0.25]), np.array([2.0, 4.0])
    assert until_taken(counts, shares, slopes, -10).sum() == 8 - 10 / 2.5
