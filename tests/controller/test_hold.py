"""The last steps before the answer: the hold and the safety stop, on the simulated engine in virtual time."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio
from support.simulation import During, Simulated, simulate

from density.capacity.capacities import capacities
from density.capacity.required import requirements
from density.cli.missed import missed
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import HostSampled, StageEntered, TesterMeasured, WaveStarted
from density.model import Phase, Workload
from density.profile.spec import Objectives, Profile, Ramp, Reserve, SimulatedHost
from density.ramp.decide import bounds_of
from density.ramp.sustain import HOLDS
from density.report.result import result

MIB = 2**20
GIB = 2**30
WEB = Workload(name="web", engine="simulated")
PROFILE = Profile(name="test", workloads=(WEB,), ramp=Ramp(max_instances=30, hold_seconds=30))


def adds_up(run: Simulated) -> bool:
    """Ready = alive at the end + lost + removed by the run, for every workload."""
    at_end = run.state.alive_at_end or {}
    return all(each.ready == at_end[name] + each.lost + each.stepped_back for name, each in run.state.workloads.items())


def pings(seconds: Callable[[int], float]) -> During:
    """Round trips that depend on how many are alive."""

    async def during(_: Controller, engine: SimulatedEngine) -> None:
        engine.host.probe_seconds = lambda: seconds(engine.host.alive)  # type: ignore[method-assign]

    return during


def pings_of_the_hold(seconds: Callable[[int], float]) -> During:
    """Round trips that depend on how many are alive, from the hold on; a thousandth of a second before."""

    async def during(controller: Controller, engine: SimulatedEngine) -> None:
        await pings(lambda _: 0.001)(controller, engine)
        await controller._bus.until(lambda state: state.stage == "hold")
        await pings(seconds)(controller, engine)

    return during


def busy(from_second: float, to_second: float) -> During:
    """All CPUs busy for a while, with something else."""

    async def during(_: Controller, engine: SimulatedEngine) -> None:
        read = engine.host.values

        def values() -> Mapping[str, float]:
            full = from_second <= anyio.current_time() <= to_second
            return {**read(), "cpu.busy_ratio": 1.0 if full else 0.1}

        engine.host.values = values  # type: ignore[method-assign]

    return during


def hold_began(run: Simulated) -> float:
    """When the first hold began."""
    return next(event.at for event in run.events if isinstance(event, StageEntered) and event.stage == "hold")


def test_pings_that_violate_an_objective_in_every_hold_leave_no_recommendation() -> None:
    """Nothing is recommended, however few are held; the result says why, and no requirement is met by it."""
    profile = replace(PROFILE, objectives=Objectives(probe_p99_seconds=0.05))
    run = simulate(profile, during=pings_of_the_hold(lambda _: 0.9))
    found = capacities(run.state, bounds_of(profile))
    assert 1 < len(run.state.holds) <= HOLDS
    assert [held.kept for held in run.state.holds] == [False] * len(run.state.holds)
    assert {ceiling for held in run.state.holds for ceiling in held.ceilings} == {"slo.probe"}
    assert found.recommended.kind == "not sustained"
    assert found.slo.count < min(sum(held.counts_before.values()) for held in run.state.holds)
    assert [each.met for each in requirements({"recommended": 1}, found)] == [False]
    written = result(run.state, bounds_of(profile))["capacity"]["recommended"]
    assert written["count"] is None
    assert "slo.probe (web) at 900 ms of 50 ms" in written["why"]
    assert len(list(missed(result(run.state, bounds_of(profile))))) == 1
    assert adds_up(run)


def test_a_hold_that_fails_is_repeated_with_fewer_until_one_is_sustained() -> None:
    """Round trips are slow above 26 in the hold alone: what is recommended was held, and is below them."""
    profile = replace(PROFILE, objectives=Objectives(probe_p99_seconds=0.05))

    run = simulate(profile, during=pings_of_the_hold(lambda alive: 0.9 if alive > 26 else 0.001))
    counts = [sum(each.counts_before.values()) for each in run.state.holds]
    assert counts[0] == 30
    assert counts == sorted(set(counts), reverse=True)
    assert [each.kept for each in run.state.holds] == [count <= 26 for count in counts]
    found = capacities(run.state, bounds_of(profile))
    assert found.recommended.count == found.slo.count == counts[-1] >= 0.8 * 26
    assert adds_up(run)


def test_a_hold_is_judged_over_its_whole_time_and_not_by_its_last_sample() -> None:
    """All CPUs are busy in the middle of a long hold, and idle again long before its end."""
    quiet = replace(PROFILE, ramp=Ramp(max_instances=30, hold_seconds=90), objectives=Objectives(cpu_busy_share=0.5))
    began = hold_began(simulate(quiet))
    run = simulate(quiet, during=busy(began + 35, began + 58))
    assert run.state.holds[0].ceilings == ("cpu.busy",)
    assert run.state.holds[-1].kept
    assert capacities(run.state, bounds_of(quiet)).recommended.count < 30


def test_a_moment_is_no_violation_of_a_long_hold() -> None:
    """Two busy seconds in a minute and a half are averaged out."""
    quiet = replace(PROFILE, ramp=Ramp(max_instances=30, hold_seconds=90), objectives=Objectives(cpu_busy_share=0.5))
    began = hold_began(simulate(quiet))
    run = simulate(quiet, during=busy(began + 40, began + 42))
    assert [held.kept for held in run.state.holds] == [True]
    assert capacities(run.state, bounds_of(quiet)).recommended.count == 30


def test_what_dies_in_a_hold_fails_it_and_the_survivors_are_held_anew() -> None:
    """The hold ends with the death, and 29 are recommended because 29 were held for the whole time."""

    async def kill(controller: Controller, engine: SimulatedEngine) -> None:
        await anyio.sleep(60)
        engine.lose("web-00007")

    run = simulate(replace(PROFILE, ramp=Ramp(max_instances=30, hold_seconds=100)), during=kill)
    first, second = run.state.holds
    assert (first.kept, first.died, first.counts_after) == (False, 1, {"web": 29})
    assert first.at < 61
    assert (second.kept, second.counts_before) == (True, {"web": 29})
    assert second.at - second.since >= 100
    assert capacities(run.state, bounds_of(PROFILE)).recommended.count == 29
    assert adds_up(run)


def test_an_engine_that_lists_fewer_than_it_reported_is_believed() -> None:
    """An instance that vanished without a word has died: the hold at whose end that is seen fails."""

    async def vanish(controller: Controller, engine: SimulatedEngine) -> None:
        await anyio.sleep(60)
        engine.forget("web-00007")

    run = simulate(replace(PROFILE, ramp=Ramp(max_instances=30, hold_seconds=100)), during=vanish)
    first, second = run.state.holds
    assert (first.kept, first.counts_after) == (False, {"web": 29})
    assert run.state.instances["web-00007"].phase is Phase.LOST
    assert run.state.workloads["web"].failures["vanished"].count == 1
    assert (second.kept, second.counts_after) == (True, {"web": 29})


def test_a_host_that_stood_still_is_held_again_with_as_many() -> None:
    """That density itself was late puts the hold in doubt, and says nothing about the count."""

    async def stall(controller: Controller, engine: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.stage == "hold")
        for _ in range(20):
            await anyio.sleep(0.1)
            controller._bus.emit(TesterMeasured(anyio.current_time(), 0, 0, 5.0, 5.0))

    run = simulate(PROFILE, during=stall)
    assert [held.ceilings for held in run.state.holds] == [("tester.lag",), ()]
    assert [held.counts_before["web"] for held in run.state.holds] == [30, 30]
    assert capacities(run.state, bounds_of(PROFILE)).recommended.count == 30


def leaking(mib_per_second: float, *, hold_seconds: float) -> Profile:
    """A host that loses memory, with instances of 40 MiB each."""
    return replace(
        PROFILE,
        ramp=Ramp(max_instances=200, hold_seconds=hold_seconds),
        reserve=Reserve(memory_bytes=2 * GIB),
        simulated=SimulatedHost(
            leak_bytes_per_second=mib_per_second * MIB,
            memory_bytes=12 * GIB,
            costs={"web": {"tasks": 1, "memory_bytes": 40 * MIB}},
        ),
    )


def longest_below(run: Simulated, bytes_: float) -> int:
    """The most samples in a row with less memory available, until the teardown."""
    longest = now = 0
    for event in run.events:
        if isinstance(event, StageEntered) and event.stage == "teardown":
            break
        if isinstance(event, HostSampled):
            now = now + 1 if event.values["memory.available_bytes"] < bytes_ else 0
            longest = max(longest, now)
    return longest


def test_a_leak_in_a_long_hold_is_met_at_once_by_scaling_down() -> None:
    """The reserve is crossed in the middle of the hold, for three samples at most, and never by much."""
    profile = leaking(10, hold_seconds=900)
    run = simulate(profile)
    first = run.state.holds[0]
    assert first.ceilings == ("memory.available",)
    assert first.crossed
    assert first.at - first.since < 450
    assert first.died == 0
    assert longest_below(run, 2 * GIB) <= 3
    assert run.host.lowest_room["memory_bytes"] >= 2 * GIB - 100 * MIB
    assert run.state.workloads["web"].stepped_back > 0
    assert adds_up(run)


def test_a_leak_faster_than_instances_free_memory_ends_with_all_of_them_removed() -> None:
    """Batches double, so that the host has its reserve back as soon as it can, or nothing is left to remove."""
    run = simulate(leaking(300, hold_seconds=600))
    assert run.state.alive_at_end == {"web": 0}
    assert capacities(run.state, bounds_of(PROFILE)).recommended.count == 0
    assert adds_up(run)


def test_the_safety_stop_acts_in_a_search() -> None:
    """Memory goes while the exact count is searched: the search ends, and no count is claimed that was not reached."""
    profile = replace(
        leaking(0, hold_seconds=30),
        workloads=(replace(WEB, burn=0.05),),
        ramp=Ramp(shape="geometric", start=10, factor=2.0, max_instances=200, hold_seconds=30),
        objectives=Objectives(cpu_busy_share=0.6),
    )

    async def leak(controller: Controller, engine: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.stage == "search")
        engine.host._base["memory_bytes"] = engine.host.spec.memory_bytes - 2 * GIB - 200 * MIB

    run = simulate(profile, during=leak)
    assert any("safety stop removed" in warning for warning in run.state.warnings)
    assert longest_below(run, 2 * GIB) <= 4
    reached = max((point.count for point in run.state.settled), default=0)
    assert capacities(run.state, bounds_of(profile)).slo.count <= reached
    assert adds_up(run)


def test_a_wave_is_cut_short_before_the_host_is_lost() -> None:
    """Memory goes by itself amid a long wave: launching stops at the reserve, not at the end of the wave."""
    profile = replace(
        PROFILE,
        ramp=Ramp(shape="list", waves=(5000,), calibrate=0, max_instances=5000),
        simulated=SimulatedHost(leak_bytes_per_second=100 * MIB, costs={"web": {"tasks": 1, "memory_bytes": MIB}}),
    )
    run = simulate(profile)
    assert run.state.outcome is not None
    assert run.state.outcome.ceiling == "memory.available"
    assert run.state.peak.count < 5000
    assert any("launching stopped at once" in warning for warning in run.state.warnings)
    assert adds_up(run)


def test_the_ramp_ends_when_its_time_is_over() -> None:
    """`max_time` bounds the ramp, not the first hold nor the teardown."""
    run = simulate(replace(PROFILE, ramp=Ramp(shape="linear", step=1, start=1, max_seconds=60)))
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "duration"
    assert run.host.alive == 0


def test_a_wave_ends_when_the_time_is_over() -> None:
    """One wave of 5,000 that would take an hour: what was launched by then is what there is."""
    ramp = Ramp(shape="list", waves=(5000,), max_instances=5000, max_seconds=60, concurrency=4)
    run = simulate(replace(PROFILE, ramp=ramp))
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "duration"
    assert 0 < run.state.peak.count < 5000
    assert run.state.outcome.at < 60 + 30


def test_a_search_ends_when_the_time_is_over() -> None:
    """It goes back to what had kept the objectives, and no step of it begins after the time."""
    objective = replace(
        PROFILE,
        workloads=(replace(WEB, burn=0.1),),
        ramp=Ramp(shape="geometric", start=10, factor=2.0, max_instances=1000, hold_seconds=30),
        objectives=Objectives(cpu_busy_share=0.655),
        simulated=SimulatedHost(cpus=8),
    )
    whole = simulate(objective)
    stages = {event.stage: event.at for event in whole.events if isinstance(event, StageEntered)}
    limit = (2 * stages["search"] + stages["hold"]) / 3
    run = simulate(replace(objective, ramp=replace(objective.ramp, max_seconds=limit)))
    assert hold_began(run) < stages["hold"]
    assert max(event.at for event in run.events if isinstance(event, WaveStarted)) <= limit
    found = capacities(run.state, bounds_of(objective))
    assert 0 < found.slo.count <= 52
    assert found.recommended.count == found.slo.count


def test_holds_are_repeated_only_within_the_time() -> None:
    """The first hold always is; a second one would end after the ramp's time."""
    profile = replace(
        PROFILE,
        ramp=Ramp(max_instances=30, hold_seconds=100, max_seconds=120),
        objectives=Objectives(probe_p99_seconds=0.05),
    )
    run = simulate(profile, during=pings_of_the_hold(lambda _: 0.9))
    assert [held.kept for held in run.state.holds] == [False]
