"""`missing = "skip"`: what cannot run here is left out and said; the others run as if it had not been asked for."""

from dataclasses import replace
from typing import get_args

import pytest
from support.simulation import Simulated, simulate

from density.engines.simulated import SimulatedEngine
from density.errors import CannotRun, DensityError, EngineUnavailable, UsageError
from density.events import InstanceChanged, StageEntered, WorkloadSkipped
from density.live.say import say
from density.model import EngineInfo, Prepared, Workload
from density.profile.spec import Endpoints, Missing, Profile, Ramp, SimulatedHost
from density.ramp.decide import bounds_of
from density.record.codec import decode, encode
from density.report.result import result

PROFILE = Profile(
    name="mixed",
    workloads=(Workload(name="web", engine="simulated", share=3), Workload(name="vm", engine="simulated")),
    ramp=Ramp(start=4, settle_seconds=1, hold_seconds=2, max_instances=20),
    endpoints=Endpoints(missing="skip"),
    simulated=SimulatedHost(memory_bytes=64 * 2**30, launch_seconds=0.1),
)
REFUSAL = CannotRun("vm: no VM comes up here (TCG: not ready after 60 s; it said nothing)")


def refuse(monkeypatch: pytest.MonkeyPatch, step: str, error: DensityError, *names: str) -> None:
    """Have the engine refuse these workloads at this step of the preflight."""
    real = getattr(SimulatedEngine, step)

    async def step_of(self: SimulatedEngine, workload: Workload) -> Prepared | None:
        if workload.name in names:
            raise error
        done: Prepared | None = await real(self, workload)
        return done

    monkeypatch.setattr(SimulatedEngine, step, step_of)


def launched(run: Simulated) -> set[str]:
    """The workloads of which anything was asked for."""
    return {event.workload for event in run.events if isinstance(event, InstanceChanged)}


@pytest.mark.parametrize("step", ["check", "prepare"])
@pytest.mark.parametrize("error", [REFUSAL, EngineUnavailable("libvirt", "the payload cannot be compiled")])
def test_a_workload_that_cannot_run_is_skipped(monkeypatch: pytest.MonkeyPatch, step: str, error: DensityError) -> None:
    """The run reaches its end with the others alone, and its result says which was left out and why."""
    refuse(monkeypatch, step, error, "vm")
    run = simulate(PROFILE)
    document = result(run.state, bounds_of(PROFILE))
    assert run.problem is None
    assert document["outcome"] == "max"
    assert document["skipped"] == {"vm": str(error)}
    assert list(document["workloads"]) == ["web"]
    assert document["workloads"]["web"]["ready"] == 20
    assert launched(run) == {"web"}
    assert any(str(error) in warning for warning in document["warnings"])


def test_it_is_said_before_anything_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the preflight, as a line of its own, which the record gives back."""
    refuse(monkeypatch, "prepare", REFUSAL, "vm")
    run = simulate(PROFILE)
    events = [event for event in run.events if isinstance(event, WorkloadSkipped | StageEntered)]
    assert [event.kind for event in events[:3]] == ["stage_entered", "workload_skipped", "stage_entered"]
    assert say(events[1], run.state) == f"skipped vm: {REFUSAL}"
    assert decode(encode(events[1])) == events[1]


@pytest.mark.parametrize("missing", get_args(Missing))
def test_where_nothing_is_left_the_run_fails(monkeypatch: pytest.MonkeyPatch, missing: Missing) -> None:
    """With the reason of the last one, its exit code, and nothing launched."""
    refuse(monkeypatch, "prepare", REFUSAL, "web", "vm")
    run = simulate(replace(PROFILE, endpoints=Endpoints(missing=missing)))
    assert run.problem is REFUSAL
    assert run.problem.exit_code == 2
    assert launched(run) == set()


def test_without_skip_one_that_cannot_run_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As before."""
    refuse(monkeypatch, "prepare", REFUSAL, "vm")
    run = simulate(replace(PROFILE, endpoints=Endpoints(missing="fail")))
    assert run.problem is REFUSAL
    assert (run.state.skipped, launched(run)) == ({}, set())


def test_a_persons_mistake_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that there is not is no fault of this host: it is refused, with every other mistake."""
    refuse(monkeypatch, "check", UsageError("the disk image x is not a file"), "web", "vm")
    run = simulate(PROFILE)
    assert isinstance(run.problem, UsageError)
    assert str(run.problem).count("the disk image x") == 2


def test_an_engine_that_does_not_say_what_it_is_takes_its_workloads_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are all there are, the run fails by it, as an engine that is not there does."""

    async def describe(_: SimulatedEngine) -> EngineInfo:
        raise EngineUnavailable("simulated", "it went away")

    monkeypatch.setattr(SimulatedEngine, "describe", describe)
    run = simulate(PROFILE)
    assert run.problem is not None
    assert run.problem.exit_code == 5
    assert run.state.skipped == {}
