"""Findings agree with result.json, and a scrape does not wait for them."""

import pytest
from metrics.observed import beginning, ending, observe
from support.hosts import random_host
from support.simulation import simulate

from density.events import InstanceChanged
from density.metrics.current import bounds_of_run
from density.metrics.findings import Finder, find
from density.model import Phase
from density.profile.spec import Objectives
from density.ramp.decide import bounds_of
from density.report.result import result
from density.state import fold


@pytest.mark.parametrize("seed", range(3))
def test_the_findings_at_the_end_are_those_of_the_result(seed: int) -> None:
    """Capacities, footprints and verdict are the same numbers, to the last digit, under the same names."""
    profile = random_host(seed).profile
    state = simulate(profile).state
    document = result(state, bounds_of(profile))
    found = find(state)
    assert {kind: capacity.count for kind, capacity in found.capacity.items()} == {
        kind: capacity["count"] for kind, capacity in document["capacity"].items()
    }
    assert found.footprints == {
        (workload, resource): (cost["value"], cost["low"], cost["high"])
        for workload, entry in document["workloads"].items()
        for resource, cost in entry["footprint"].items()
    }
    assert (found.verdict is None) == (document["verdict"] is None)
    if found.verdict:
        assert found.verdict.ceiling == document["verdict"]["ceiling"]
        assert found.verdict.confidence == document["verdict"]["confidence"]


def test_an_objective_that_was_not_asked_for_is_none() -> None:
    """The state tells the profile's bounds whole: what it does not name is off, also where the default is not."""
    profile = random_host(0).profile
    assert bounds_of_run(simulate(profile).state) == bounds_of(profile)
    assert Objectives().tester_lag_seconds is not None
    assert bounds_of_run(fold(beginning())).objectives == Objectives(tester_lag_seconds=None)


def test_an_old_record_may_know_reserves_that_are_no_more() -> None:
    """They are passed over."""
    state = fold(beginning())
    state.reserves = {**state.reserves, "patience": 3}
    assert bounds_of_run(state).reserve.tasks == 1600


def test_findings_are_due_once_for_every_wave_and_stage() -> None:
    """Nothing is fitted again while instances come and go; the first and the last findings are urgent."""
    state = fold(beginning())
    finder = Finder()
    assert finder.urgent(state)
    first = finder.due(state)
    assert first is not None
    finder.learn(first)
    assert not finder.urgent(state)
    state.apply(InstanceChanged(12.5, "web-00004", "web", Phase.STOPPING))
    assert finder.due(state) is None
    for event in ending():
        state.apply(event)
    assert finder.due(state) is not None
    assert finder.urgent(state)


def test_what_is_learned_from_is_left_alone_by_what_happens_next() -> None:
    """The copy that another thread computes from tells the same after further events."""
    state = fold([*beginning(), *ending()[:6]])
    still = Finder().due(state)
    assert still is not None
    before = find(still)
    for event in ending()[6:]:
        state.apply(event)
    assert find(still) == before
    assert find(state) != before


def test_a_recommendation_waits_for_the_hold() -> None:
    """Amid the ramp there is no recommended capacity, at the end there is one."""

    def kinds(events: int) -> set[str]:
        taken = observe([*beginning(), *ending()[:events]]).take().taken
        return {row.labels[0] for metric, rows in taken if metric.name == "density_capacity_instances" for row in rows}

    assert kinds(0) == set()
    assert kinds(2) == {"hard", "slo"}
    assert kinds(len(ending())) == {"hard", "slo", "recommended"}
