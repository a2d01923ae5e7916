"""How sure a verdict is."""

import math
from dataclasses import asdict, replace

import pytest

from density.ceilings.calibration import CERTAIN
from density.ceilings.judge import judge
from density.ceilings.reading import Bounds
from density.ceilings.verdict import suspects
from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    HostSampled,
    InstanceChanged,
    RunStarted,
    StageEntered,
    Stopped,
    WaveSettled,
    WaveStarted,
)
from density.model import Failure, Phase, Workload
from density.profile.spec import Objectives, Reserve
from density.report.facts import confidence
from density.state import fold

STARTED = RunStarted(
    0.0, "r", 0.0, "0", "p", until="safe", workloads=(Workload(name="web", engine="simulated"),), max_instances=9
)


def test_room_that_the_host_moves_by_itself_has_no_odds() -> None:
    """No count is forecast for it, so nothing tells how likely another one is to lie below it."""
    unknown = CeilingForecast("files.file_max", "", 2846, 4747, 1000, math.inf, math.inf, math.inf)
    near = CeilingForecast("tasks.pid_max", "", 667, 32768, 1600, 3338, 3200, 3500)
    stopped = Stopped(2.0, "ceiling", "the next instance would not fit", "files.file_max")
    verdict = judge(fold([Forecasted(1.0, (near, unknown)), stopped]), Bounds(), {})
    assert verdict is not None
    assert (verdict.confidence, verdict.measured) == (None, False)


def test_a_forecast_that_nothing_speaks_against_is_not_certain() -> None:
    """The others lie far beyond it, or there are none; no odds are."""
    mine = CeilingForecast("tasks.pid_max", "", 667, 32768, 1600, 3338, 3200, 3500)
    stopped = Stopped(2.0, "ceiling", "the next instance would not fit", "tasks.pid_max")
    verdict = judge(fold([Forecasted(1.0, (mine,)), stopped]), Bounds(), {})
    assert verdict is not None
    assert verdict.confidence == CERTAIN < 1


def test_a_forecast_by_typical_costs_claims_no_odds() -> None:
    """Nothing says how good they would be, so no percentage is told."""
    mine = CeilingForecast("files.file_max", "", 2846, 4747, 1000, 22, 15, 44, typical=True)
    stopped = Stopped(2.0, "ceiling", "the next instance would not fit", "files.file_max")
    verdict = judge(fold([Forecasted(1.0, (mine,)), stopped]), Bounds(), {})
    assert verdict is not None
    assert verdict.confidence is None
    assert confidence(asdict(verdict)) == "confidence not known"


def test_failures_that_nothing_explains_are_nobodys_but_not_for_certain() -> None:
    """Launches that only took too long point to no resource: all of the odds are left, and no odds are certain."""
    late = InstanceChanged(1.0, "web-1", "web", Phase.FAILED, Failure("timeout", "not ready within 1 s"))
    stopped = Stopped(2.0, "ceiling", "1 of 1 launches of the wave failed", "slo.failures", by_failures=True)
    verdict = judge(fold([STARTED, late, stopped]), Bounds(), {})
    assert verdict is not None
    assert verdict.confidence == CERTAIN < 1
    assert not verdict.measured


def test_a_reserve_that_was_touched_was_measured() -> None:
    """That others were forecast to come sooner does not unmake what was read, so no odds are told of it."""
    sampled = HostSampled(1.0, {"tasks.count": 31_500.0, "tasks.pid_max": 32_768.0}, cost_seconds=0.001)
    sooner = CeilingForecast("files.file_max", "", 10, 1000, 0, 20, 19, 21)
    stopped = Stopped(2.0, "ceiling", "the reserve is reached", "tasks.pid_max")
    verdict = judge(fold([STARTED, sampled, Forecasted(1.5, (sooner,)), stopped]), Bounds(Reserve(tasks=1600)), {})
    assert verdict is not None
    assert (verdict.used, verdict.confidence, verdict.measured) == (31_500, None, True)
    assert confidence(asdict(verdict)) == "measured"


def test_an_objective_is_told_by_what_was_measured_when_it_was_missed() -> None:
    """The hold measures anew, so what bound is looked up among the points at rest."""
    missed = WaveSettled(1.0, 0.5, 1, {"web": 20}, {"slo.ready.web.p95_seconds": 3.5}, {})
    stopped = Stopped(2.0, "ceiling", "an objective was missed", "slo.ready", "web")
    bounds = Bounds(Reserve(), Objectives(ready_p95_seconds=2.0))
    verdict = judge(fold([STARTED, missed, stopped, StageEntered(3.0, "hold")]), bounds, {})
    assert verdict is not None
    assert (verdict.used, verdict.limit) == (3.5, 2.0)
    assert (verdict.confidence, verdict.measured) == (None, True)


def test_too_many_failures_beside_a_full_ceiling_have_the_odds_that_it_leaves() -> None:
    """Three programs end without a reason, which misses the objective: the slice beside them may be it."""
    objectives = Objectives(failures_share=0.01)
    names = [f"web-{n:05d}" for n in range(33)]
    host = {"slice.tasks": 199.0, "slice.tasks_limit": 200.0}
    silent = Failure("exited", "ended with exit code 1", ("starting",), exit_code=1)
    events: list[Event] = [
        replace(STARTED, objectives={"failures_share": 0.01}),
        HostSampled(0.5, {**host, "slice.tasks": 49.0}, cost_seconds=0.001),
        WaveStarted(1.0, 1, {"web": 33}, 33),
        *(InstanceChanged(1.0, name, "web", Phase.REQUESTED) for name in names),
        *(InstanceChanged(1.1, name, "web", Phase.STARTED) for name in names),
        *(InstanceChanged(1.5, name, "web", Phase.READY) for name in names[:30]),
        *(InstanceChanged(2.5, name, "web", Phase.FAILED, silent) for name in names[30:]),
        HostSampled(3.5, host, cost_seconds=0.001),
        Stopped(4.0, "ceiling", "an objective was missed", "slo.failures", "web"),
    ]
    state, bounds, costs = fold(events), Bounds(objectives=objectives), {("tasks.cgroup", ""): 5.0}
    verdict = judge(state, bounds, costs)
    (slice_,) = (suspect.odds for suspect in suspects(state, bounds, costs) if suspect.ceiling == "tasks.cgroup")
    assert verdict is not None
    assert slice_ > 0.1
    assert verdict.confidence == pytest.approx(1 - slice_)
    assert not verdict.measured
    assert any("starting" in sentence for sentence in verdict.evidence)
    assert any("tasks.cgroup stood at 199" in sentence for sentence in verdict.evidence)


def test_a_start_that_runs_out_of_time_in_a_full_slice_is_the_slices_doing() -> None:
    """At its limit a cgroup crawls before anything is killed; with half of it free, a late start says nothing of it."""
    begun = [InstanceChanged(at, "web-1", "web", phase) for at, phase in ((0.1, Phase.REQUESTED), (0.2, Phase.STARTED))]
    late = InstanceChanged(1.0, "web-1", "web", Phase.FAILED, Failure("timeout", "not ready within 90 s"))
    odds = []
    for used in (3.0e9, 1.5e9):
        values = {"slice.memory_bytes": used, "slice.memory_limit_bytes": 3.0e9}
        state = fold([STARTED, HostSampled(0.5, values, cost_seconds=0.001), *begun, late])
        (found, *_) = suspects(state, Bounds(), {("memory.cgroup", ""): 40e6})
        assert found.ceiling == "memory.cgroup"
        odds.append(found.odds)
    assert odds[0] > 0.9
    assert odds[1] < 0.7
