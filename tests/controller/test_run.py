"""A run from preflight to teardown, on the simulated engine in virtual time."""

from dataclasses import replace
from itertools import pairwise

import anyio
import pytest
from support.simulation import Simulated, simulate

from density.capacity.capacities import capacities
from density.ceilings.judge import judge
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.errors import EngineUnavailable, NoRoom, UsageError
from density.events import (
    HostSampled,
    InstanceChanged,
    StageEntered,
    SteppedBack,
    TesterMeasured,
    WaveSettled,
    WaveStarted,
)
from density.model import Phase, Prepared, Workload
from density.profile.load import load_profile
from density.profile.spec import Objectives, Profile, Ramp, Require, SimulatedHost, Slice
from density.ramp.decide import bounds_of
from density.report.result import result
from density.state import fold

MIB = 2**20
WEB = Workload(name="web", engine="simulated")
PROFILE = Profile(name="test", workloads=(WEB,), ramp=Ramp(max_instances=60))


def adds_up(run: Simulated, profile: Profile) -> None:
    """The contract's two sums: launched = ready + failed, and ready = alive at the end + lost + stepped back."""
    document = result(run.state, bounds_of(profile))
    for name, workload in document["workloads"].items():
        assert workload["launched"] == workload["ready"] + workload["failed"]
        assert run.state.alive_at_end is not None
        alive = run.state.alive_at_end[name]
        assert workload["ready"] == alive + workload["lost"] + workload["stepped_back"]


def test_a_run_goes_through_its_stages_in_order() -> None:
    """Preflight, calibration, ramp, hold, teardown, done; and everything that was launched is removed."""
    run = simulate(PROFILE)
    stages = [event.stage for event in run.events if isinstance(event, StageEntered)]
    assert stages == ["preflight", "calibrate", "ramp", "hold", "teardown", "done"]
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "max"
    assert run.state.peak.count == 60
    assert run.host.alive == 0
    assert run.state.counts["web"][Phase.REMOVED] == 60
    adds_up(run, PROFILE)


def test_the_state_is_the_fold_of_the_events() -> None:
    """Folding the same events again gives the same result, to the last digit."""
    run = simulate(PROFILE)
    assert result(fold(run.events), bounds_of(PROFILE)) == result(run.state, bounds_of(PROFILE))


def test_the_same_profile_gives_the_same_run() -> None:
    """Nothing but the seed decides what the simulated host does."""
    assert simulate(PROFILE).events == simulate(PROFILE).events


def test_workloads_are_calibrated_alone_and_then_mixed_by_share() -> None:
    """The first wave of each workload has no other; at the end three to one are alive."""
    workloads = (replace(WEB, share=3), Workload(name="db", engine="simulated"))
    run = simulate(replace(PROFILE, workloads=workloads))
    waves = [event.sizes for event in run.events if isinstance(event, WaveStarted)]
    assert waves[:2] == [{"web": 4}, {"db": 4}]
    assert run.state.alive_at_end == {"web": 45, "db": 15}


def test_the_host_is_sampled_every_second_whatever_is_launched() -> None:
    """No gap between two samples is longer than the beat, and the tester is never late in virtual time."""
    run = simulate(PROFILE)
    times = [event.at for event in run.events if isinstance(event, HostSampled)]
    assert max(after - before for before, after in pairwise(times)) <= 1.0 + 1e-9
    assert run.state.tester is not None
    assert run.state.tester.max_lag_seconds == pytest.approx(0, abs=1e-9)


def test_an_interrupted_run_is_torn_down_and_adds_up() -> None:
    """Ctrl-C amid a wave: launches on their way have failed as cancelled, nothing is left."""

    async def interrupt(controller: Controller, engine: SimulatedEngine) -> None:
        await anyio.sleep(12.1)
        controller.interrupt()

    profile = replace(PROFILE, ramp=Ramp(shape="linear", step=500, max_instances=2000))
    run = simulate(profile, during=interrupt)
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "interrupted"
    assert run.host.alive == 0
    assert "cancelled" in run.state.workloads["web"].failures
    adds_up(run, profile)


def test_a_workload_that_never_gets_ready_ends_the_run_with_its_own_words() -> None:
    """The first instances die: an error with the kind, the message and the last lines, and a clean host."""
    run = simulate(replace(PROFILE, workloads=(replace(WEB, image="exits"),)))
    assert isinstance(run.problem, EngineUnavailable)
    assert "no instance of workload 'web' became ready: exited" in str(run.problem)
    assert "simulated: exit code 1" in str(run.problem)
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "error"


@pytest.mark.parametrize(
    ("slice_", "ceiling"), [(Slice(tasks=5), "tasks.cgroup"), (Slice(memory_bytes=MIB), "memory.cgroup")]
)
def test_a_slice_too_small_for_one_instance_is_a_ceiling_at_nothing(slice_: Slice, ceiling: str) -> None:
    """The run is measured and over: not one fits, and the verdict says of what there is too little."""
    costs = {"web": {"tasks": 12.0, "memory_bytes": 5.0 * MIB}}
    run = simulate(replace(PROFILE, slice=slice_, simulated=SimulatedHost(costs=costs)))
    assert run.problem is None
    assert run.state.outcome is not None
    assert (run.state.outcome.outcome, run.state.outcome.ceiling) == ("ceiling", ceiling)
    assert capacities(run.state, bounds_of(PROFILE)).hard.count == 0
    verdict = judge(run.state, bounds_of(PROFILE), {})
    assert verdict is not None
    assert verdict.confidence is not None
    assert verdict.confidence > 0.5


def test_a_canary_without_room_ends_the_run_with_its_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel kills while it is tried out tells that not one fits, and of what there is too little."""

    async def prepare(_: SimulatedEngine, workload: Workload) -> Prepared:
        raise NoRoom("memory.cgroup", f"{workload.name}: no VM comes up here")

    monkeypatch.setattr(SimulatedEngine, "prepare", prepare)
    run = simulate(replace(PROFILE, slice=Slice(memory_bytes=140 * MIB)))
    assert run.problem is None
    assert run.state.outcome is not None
    assert (run.state.outcome.outcome, run.state.outcome.ceiling) == ("ceiling", "memory.cgroup")
    found = capacities(run.state, bounds_of(PROFILE))
    assert (found.hard.count, found.hard.kind) == (0, "observed")
    verdict = judge(run.state, bounds_of(PROFILE), {})
    assert verdict is not None
    assert verdict.limit == 140 * MIB


def test_a_missing_image_starts_nothing() -> None:
    """It is refused in preflight, as a mistake of the profile."""
    run = simulate(replace(PROFILE, workloads=(replace(WEB, image="missing"),)))
    assert isinstance(run.problem, UsageError)
    assert not run.state.instances


def test_an_objective_is_searched_for_to_the_exact_count() -> None:
    """The ramp overshoots, steps back and bisects; slo is the very last count that keeps it, held and confirmed."""
    profile = replace(
        PROFILE,
        workloads=(replace(WEB, burn=0.1),),
        ramp=Ramp(shape="geometric", start=10, factor=2.0, max_instances=1000, hold_seconds=30),
        objectives=Objectives(cpu_busy_share=0.655),
        simulated=SimulatedHost(cpus=8),
    )
    run = simulate(profile)
    document = result(run.state, bounds_of(profile))
    assert document["verdict"]["ceiling"] == "cpu.busy"
    assert document["capacity"]["slo"]["count"] == 52
    assert document["capacity"]["recommended"]["count"] == 52
    assert document["capacity"]["hard"]["count"] > 60
    assert run.state.held is not None
    assert run.state.held.kept
    assert "search" in [event.stage for event in run.events if isinstance(event, StageEntered)]
    assert document["workloads"]["web"]["stepped_back"] > 0
    adds_up(run, profile)


def test_a_forecast_of_the_host_is_none_of_its_objectives() -> None:
    """Times to ready grow with the count: what would fit is no proof that it would be ready in time."""
    slow = SimulatedHost(launch_growth=15.0, failure_share=0.0)
    profile = replace(
        PROFILE,
        ramp=Ramp(until="forecast"),
        objectives=Objectives(ready_p95_seconds=5.0),
        simulated=slow,
    )
    run = simulate(profile)
    found = capacities(run.state, bounds_of(profile))
    assert found.hard.kind == "forecast"
    assert found.slo.kind == "observed"
    assert found.slo.count == run.state.peak.count < found.hard.count


def test_few_launches_that_do_not_say_whether_an_objective_is_kept_prove_nothing() -> None:
    """All of them too slow, and too few for a percentile: no capacity is told, and none is required in vain."""
    objectives = Objectives(ready_p95_seconds=0.01)
    profile = replace(PROFILE, ramp=Ramp(max_instances=15), objectives=objectives, require=Require(slo=15))
    run = simulate(profile)
    document = result(run.state, bounds_of(profile))
    assert (document["capacity"]["slo"]["count"], document["capacity"]["slo"]["kind"]) == (None, "not measured")
    assert document["required"] == [{"name": "slo", "wanted": 15, "found": 0, "met": False}]
    patient = replace(profile, objectives=Objectives(ready_p95_seconds=60))
    assert result(simulate(patient).state, bounds_of(patient))["required"][0]["met"]


def test_a_search_among_few_instances_launches_each_count_until_it_can_be_judged() -> None:
    """Where a fifth of all launches fail, no count keeps 5 %: also not one that was lucky with its first launches."""
    profile = replace(
        PROFILE,
        ramp=Ramp(start=4, max_instances=100),
        objectives=Objectives(failures_share=0.05),
        simulated=SimulatedHost(failure_share=0.2, seed=4),
    )
    run = simulate(profile)
    found = capacities(run.state, bounds_of(profile))
    assert (found.slo.count, found.slo.kind) == (0, "observed")
    assert any(isinstance(event, SteppedBack) and event.again for event in run.events)


def test_a_host_that_stands_still_for_a_moment_does_not_end_a_ramp() -> None:
    """The tester was late once; it launches fewer at once, goes on, and no capacity is lower for it."""

    async def stall(controller: Controller, _: SimulatedEngine) -> None:
        await anyio.sleep(12)
        controller._bus.emit(TesterMeasured(anyio.current_time(), 0, 0, 3.9, 3.9))

    run = simulate(PROFILE, during=stall)
    assert [point.values["tester.lag_seconds"] for point in run.state.settled].count(3.9) == 1
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "max"
    assert run.state.peak.count == 60
    found = capacities(run.state, bounds_of(PROFILE))
    assert found.recommended.count == 60


def test_no_more_is_recommended_than_keeps_the_objectives() -> None:
    """A hold in which nothing is launched misses no objective of launches."""
    profile = replace(
        PROFILE,
        ramp=Ramp(until="failure", hold_seconds=20),
        slice=Slice(tasks=400),
        objectives=Objectives(failures_share=0.05),
    )
    run = simulate(profile)
    found = capacities(run.state, bounds_of(profile))
    assert found.recommended.count <= found.slo.count < run.state.peak.count + 1


def test_a_launch_that_fails_by_the_way_leaves_the_verdict_as_sure_as_it_was() -> None:
    """The ramp ended at the reserve, which was measured; one of the last wave's launches failed by chance."""
    profile = load_profile("simulated", overrides=["simulated.failures=1%"])
    runs = [simulate(replace(profile, simulated=replace(profile.simulated, seed=seed))) for seed in range(4)]
    by_the_way = [run.state for run in runs if run.state.failed_in_wave and run.state.outcome]
    assert by_the_way
    for state in by_the_way:
        verdict = judge(state, bounds_of(profile), {})
        assert verdict is not None
        assert verdict.ceiling == "memory.available"
        assert verdict.confidence == pytest.approx(1, abs=0.05)


def test_failures_by_chance_do_not_stop_a_ramp_but_many_do() -> None:
    """One launch in a hundred failing is noise; every third failing is a ceiling of its own."""
    few = simulate(replace(PROFILE, simulated=SimulatedHost(failure_share=0.01, seed=3)))
    assert few.state.outcome is not None
    assert few.state.outcome.outcome == "max"
    many = simulate(replace(PROFILE, simulated=SimulatedHost(failure_share=0.35, seed=3)))
    assert many.state.outcome is not None
    assert many.state.outcome.outcome == "ceiling"


def test_a_settled_point_is_read_after_the_launches_are_over() -> None:
    """Its counts are what is alive, and its values the mean of samples taken at rest."""
    run = simulate(PROFILE)
    settled = [event for event in run.events if isinstance(event, WaveSettled)]
    assert [sum(event.counts.values()) for event in settled] == [0, 4, 12, 28, 60]
    assert settled[-1].values["tasks.count"] == pytest.approx(300 + 60)


def test_every_clock_starts_no_later_than_the_launch() -> None:
    """An instance is requested before it is created, at or before the moment its launch began."""
    run = simulate(PROFILE)
    requested: dict[str, float] = {}
    for event in run.events:
        if isinstance(event, InstanceChanged) and event.phase is Phase.REQUESTED:
            requested[event.instance_id] = event.at
        elif isinstance(event, InstanceChanged) and event.phase is Phase.CREATED:
            assert event.at > requested[event.instance_id]
