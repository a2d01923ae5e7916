"""Maximum, within objectives and recommended: what each says after every way for a ramp to end."""

from dataclasses import replace

import anyio
import pytest
from support.simulation import simulate

from density.capacity.capacities import Capacities, capacities
from density.capacity.required import requirements
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import CeilingForecast, Forecasted
from density.metrics.current import bounds_of_run
from density.model import Workload
from density.profile.spec import Objectives, Profile, Ramp, SimulatedHost, Slice
from density.ramp.decide import bounds_of
from density.report.facts import number
from density.report.result import result

WEB = Workload(name="web", engine="simulated")
PROFILE = Profile(name="test", workloads=(WEB,), ramp=Ramp(max_instances=2), simulated=SimulatedHost(noise=0.02))


def found(profile: Profile) -> Capacities:
    """The capacities of a run."""
    return capacities(simulate(profile).state, bounds_of(profile))


def test_a_maximum_of_the_profiles_is_no_maximum_of_the_host() -> None:
    """`max = 2` on a noisy host, where no cost is known: at least 2 of each; a requirement of 2 is met, of 3 is not."""
    run = simulate(PROFILE)
    known = capacities(run.state, bounds_of(PROFILE))
    assert [(each.count, each.kind, each.at_least) for each in (known.hard, known.slo, known.recommended)] == [
        (2, "observed", True)
    ] * 3
    assert [each.met for each in requirements({"hard": 2, "recommended": 3}, known)] == [True, False]
    document = result(run.state, bounds_of(PROFILE))
    assert number(document["capacity"]["hard"]) == "at least 2"


@pytest.mark.parametrize("silent", [{"db"}, {"web", "db"}])
def test_pings_are_asked_of_the_workloads_that_answer_them(silent: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of two answers none, `slo` is measured by the other, and a warning names it; else it is not."""
    monkeypatch.setattr(Workload, "answers_pings", property(lambda each: each.name not in silent))

    async def during(_: Controller, engine: SimulatedEngine) -> None:
        monkeypatch.setattr(engine, "pingable", lambda name: not silent & set(name.split("-")))

    profile = replace(PROFILE, workloads=(WEB, replace(WEB, name="db")), ramp=Ramp(max_instances=20))
    profile = replace(profile, objectives=Objectives(probe_p99_seconds=0.5))
    run = simulate(profile, during=during)
    slo = capacities(run.state, bounds_of(profile)).slo
    assert (slo.kind, slo.count) == (("observed", 20) if silent == {"db"} else ("not measured", 0))
    assert any("probe_p99" in warning and "db" in warning for warning in run.state.warnings)
    assert bounds_of_run(run.state).silent == silent


def test_a_list_of_waves_that_is_done_is_no_maximum_either() -> None:
    """What was sustained is at least recommended; the host's maximum is forecast from the waves."""
    quiet = replace(PROFILE, simulated=SimulatedHost())
    known = found(replace(quiet, ramp=Ramp(shape="list", waves=(10, 10, 10), max_instances=1000)))
    assert known.hard.kind == "forecast"
    assert not known.hard.at_least
    assert (known.recommended.count, known.recommended.at_least) == (34, True)


def test_a_ceiling_that_ended_the_ramp_is_exact() -> None:
    """The slice refused the next one: what ran is all, in every sense."""
    known = found(replace(PROFILE, ramp=Ramp(until="failure"), slice=Slice(tasks=40)))
    assert [each.at_least for each in (known.hard, known.slo, known.recommended)] == [False] * 3
    assert known.hard.count == 40


def test_an_objective_that_ended_the_ramp_says_nothing_about_the_host() -> None:
    """The CPUs are full at 52 instances; the host's memory and tasks would take thousands, and that is the maximum."""
    profile = replace(
        PROFILE,
        workloads=(replace(WEB, burn=0.1),),
        ramp=Ramp(start=10, max_instances=10_000),
        objectives=Objectives(cpu_busy_share=0.655),
        simulated=SimulatedHost(cpus=8),
    )
    run = simulate(profile)
    known = capacities(run.state, bounds_of(profile))
    truth = run.host.true_maximum("web", reserves={"memory_bytes": 2 * 2**30, "tasks": 1600, "files": 1000})
    assert known.hard.kind == "forecast"
    assert abs(known.hard.count - truth) < 0.02 * truth
    assert (known.slo.count, known.slo.at_least) == (52, False)
    assert (known.recommended.count, known.recommended.at_least) == (52, False)


def test_an_interrupted_run_has_lower_bounds() -> None:
    """Nothing but a person ended it."""

    async def interrupt(controller: Controller, _: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.alive >= 4)
        await anyio.sleep(0.1)
        controller.interrupt()

    profile = replace(PROFILE, ramp=Ramp(max_instances=1000))
    run = simulate(profile, during=interrupt)
    known = capacities(run.state, bounds_of(profile))
    assert (known.hard.kind, known.hard.at_least) == ("observed", True)
    assert known.recommended.kind == "not tried"


@pytest.mark.parametrize("seed", range(4))
def test_launches_that_fail_by_themselves_are_no_maximum_of_the_host(seed: int) -> None:
    """A quarter of all launches fail by chance: the maximum is the forecast, what was held is recommended at least."""
    host = SimulatedHost(failure_share=0.25, seed=seed)
    profile = replace(PROFILE, ramp=Ramp(max_instances=10_000), simulated=host)
    run = simulate(profile)
    known = capacities(run.state, bounds_of(profile))
    assert run.state.outcome is not None
    assert run.state.outcome.by_failures
    truth = run.host.true_maximum("web", reserves={"memory_bytes": 2 * 2**30, "tasks": 1600, "files": 1000})
    if known.hard.kind == "forecast":
        assert abs(known.hard.count - truth) < 0.05 * truth
        assert known.slo == known.hard
    else:
        assert known.hard.at_least
        assert known.slo.at_least
    assert known.recommended.at_least
    assert 0 < known.recommended.count <= run.state.peak.count


@pytest.mark.parametrize(("allowed", "kind"), [(0.05, "observed"), (0.9, "forecast")])
def test_failures_that_end_the_ramp_promise_no_objective_of_failures(allowed: float, kind: str) -> None:
    """Whatever would fit, `slo` is at least what ran before more failed than is allowed, also too few to judge by."""
    failing = iter([*[False] * 14, *[True] * 5])

    async def spoil(_: Controller, engine: SimulatedEngine) -> None:
        engine.host.fails_by_chance = lambda: next(failing, False)  # type: ignore[method-assign]

    ramp = Ramp(shape="linear", start=4, step=6, max_instances=60, until="failure", settle_seconds=1, calibrate=4)
    profile = replace(PROFILE, ramp=ramp, objectives=Objectives(failures_share=allowed), simulated=SimulatedHost())
    run = simulate(profile, during=spoil)
    known = capacities(run.state, bounds_of(profile))
    assert (known.hard.kind, known.slo.kind) == ("forecast", kind)
    assert known.slo.at_least == (kind == "observed")


def test_a_last_wave_that_fails_as_a_whole_promises_no_more_than_what_ran() -> None:
    """What stops it has no name here, so the forecast of the known ceilings is no maximum."""

    async def spoil(controller: Controller, engine: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.wave == 5)
        engine.host.fails_by_chance = lambda: True  # type: ignore[method-assign]

    profile = replace(PROFILE, ramp=Ramp(max_instances=10_000), simulated=SimulatedHost())
    run = simulate(profile, during=spoil)
    known = capacities(run.state, bounds_of(profile))
    assert (known.hard.kind, known.hard.at_least) == ("observed", True)
    assert known.hard.count == run.state.peak.count


def test_a_forecast_is_not_below_what_ran() -> None:
    """After a search fewer are alive than ran before: the interval begins with the most that ran."""
    state = simulate(replace(PROFILE, ramp=Ramp(max_instances=60), simulated=SimulatedHost())).state
    state.apply(Forecasted(state.now, (CeilingForecast("tasks.pid_max", "", 10, 100, 0, 61.0, 55.0, 66.0),)))
    known = capacities(state, bounds_of(PROFILE)).hard
    assert (known.count, known.low, known.high) == (61, 60, 66)
