"""Conditions that were not the same are told, each with what it may change."""

from dataclasses import replace

import pytest
from support.compared import compared, unended

from density.report.compare.conditions import Condition, conditions, doubts
from density.report.compare.found import capacity
from density.report.compare.groups import Run

SMALL = ("simulated.memory=6GiB", "ramp.max=20")


@pytest.fixture(scope="module")
def run() -> Run:
    """A small run."""
    return compared(1, *SMALL)


def told(before: Run, after: Run) -> list[Condition]:
    """Of two runs."""
    return list(conditions([before], [after]))


def test_a_repetition_is_the_same(run: Run) -> None:
    """Another seed is what makes it a repetition; nothing is told."""
    assert told(run, compared(2, *SMALL)) == []


def test_another_version_of_density(run: Run) -> None:
    """May have changed how things are measured."""
    (found,) = told(run, compared(1, *SMALL, density_version="0.0.1"))
    assert (found.what, found.other, found.spoils) == ("density", "0.0.1", "every figure")


SETTINGS = {
    "ramp.until=failure": "capacities",
    "ramp.hold=1s": "capacity.recommended",
    "ramp.concurrency=2": "times and rate",
    "slice.tasks=5000": "capacities",
    "reserve.tasks=1700": "capacities",
    "objectives.failures=9%": "capacity.slo and capacity.recommended",
    "workloads.web.burn=1%": "capacities, times and footprints of web",
    "simulated.files=999999": "every figure",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_setting_says_what_it_may_change(setting: str, run: Run) -> None:
    """One line a key, by its name in the profile."""
    key, _, value = setting.partition("=")
    found = [each for each in told(run, compared(1, *SMALL, setting)) if not each.what.startswith("instances")]
    assert [(each.what, each.other, each.spoils) for each in found] == [(key, value, SETTINGS[setting])]


def test_what_changes_no_figure_is_not_told(run: Run) -> None:
    """A description, or which capacity is required."""
    assert told(run, compared(1, *SMALL, "description=other", "require.slo=3")) == []


def test_what_programs_are_given_stays_private(run: Run) -> None:
    """A password in the environment has changed: that is told, and neither the old nor the new one."""
    key = "workloads.web.environment.PASSWORD"
    runs = [replace(run, settings={**run.settings, **given}) for given in ({}, {key: "hunter1"}, {key: "hunter2"})]
    for before, after, shown in ((0, 1, ("not set", "another value")), (1, 2, ("a value", "another value"))):
        (found,) = told(runs[before], runs[after])
        assert (found.what, found.baseline, found.other) == (key, *shown)
    assert told(runs[1], runs[1]) == []


def test_another_host(run: Run) -> None:
    """Each fact of it that differs, sizes in a unit that hides what kernels take for themselves."""
    other = compared(1, *SMALL)
    facts = other.recorded.state.host_facts
    other.recorded.state.host_facts = {**facts, "kernel": "6.1", "memory_bytes": float(facts["memory_bytes"]) + 1e6}
    (found,) = told(run, other)
    assert (found.what, found.baseline, found.other) == ("host.kernel", "not set", "6.1")


@pytest.mark.parametrize(("steal", "is_told"), [(0.005, False), (0.02, True)])
def test_a_hypervisor_that_takes_more(steal: float, is_told: bool, run: Run) -> None:  # noqa: FBT001 — a table
    """More than a hundredth of the CPU time more is told."""
    other = compared(1, *SMALL)
    other.recorded.state.host_facts = {**other.recorded.state.host_facts, "steal_ratio": steal}
    assert [each.what for each in told(run, other)] == (["host.steal_ratio"] if is_told else [])


def test_a_run_that_went_much_further(run: Run) -> None:
    """Its footprints are of other counts."""
    (_, found) = told(run, compared(1, *SMALL[:1], "ramp.max=45"))
    assert (found.what, found.baseline, found.other, found.spoils) == ("instances reached", "20", "45", "footprints")


def test_runs_of_one_group_that_are_not_alike(run: Run) -> None:
    """A group is several runs of the same kind: where it is not, both values are shown."""
    found = list(conditions([run, compared(2, *SMALL, "ramp.settle=9s")], [compared(3, *SMALL)]))
    assert [(each.what, each.baseline, each.other) for each in found] == [("ramp.settle", "3s and 9s", "3s")]


def test_a_profile_that_was_not_kept(run: Run) -> None:
    """Cannot be compared, which is a doubt."""
    lost = replace(run, settings={})
    assert list(doubts([run])) == []
    assert list(doubts([lost])) == ["run-1: its profile.toml cannot be read, so the profiles were not compared."]
    assert told(lost, lost) == []


@pytest.mark.parametrize(
    ("alive", "outcome", "note", "doubt"),
    [
        (False, "cut off", "was cut off", "run-1 was cut off before its end."),
        (True, "running", "still goes on", "run-1 is not over yet, and what it has found may still change."),
    ],
)
def test_a_run_without_an_end_is_called_the_same_everywhere(
    alive: bool,  # noqa: FBT001 — a table
    outcome: str,
    note: str,
    doubt: str,
    run: Run,
) -> None:
    """In the conditions and beside its capacity: still running, or cut off; and it is a doubt."""
    short = unended(1, *SMALL, alive=alive)
    short.recorded.result["capacity"]["hard"] = {"count": 8, "kind": "observed"}
    assert [(each.what, each.other) for each in told(run, short) if each.what == "outcome"] == [("outcome", outcome)]
    assert capacity(short, "hard", several=False)[1] == f"{note}, a lower bound"
    assert list(doubts([short])) == [doubt]
