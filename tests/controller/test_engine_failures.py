"""An engine that fails amid a ramp: an error, whose capacity is what ran, and no ceiling."""

from dataclasses import replace

import anyio
import pytest
from support.simulation import During, simulate

from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.errors import EngineUnavailable
from density.model import Failure, Workload
from density.profile.spec import Profile, Ramp, Slice, Until
from density.ramp.decide import bounds_of
from density.report.result import result

PROFILE = Profile(
    name="failing",
    workloads=(Workload(name="web", engine="simulated"),),
    ramp=Ramp(shape="linear", start=10, step=10, max_instances=500, until="failure"),
    slice=Slice(memory_bytes=10 * 2**30, tasks=5000),
)
GONE_AT = 30.0
"""Seconds into the run, amid its waves."""


def refusing(failure: Failure, *, times: int | None = None) -> During:
    """The engine refuses every launch from some moment on, or so many launches."""

    async def refuse(_: Controller, engine: SimulatedEngine) -> None:
        await anyio.sleep(GONE_AT)
        engine.refuse(failure, times=times)

    return refuse


async def stall(_: Controller, engine: SimulatedEngine) -> None:
    """The engine does not answer any more."""
    await anyio.sleep(GONE_AT)
    engine.stalled = True


@pytest.mark.parametrize(
    "failure",
    [
        Failure("refused", "dial unix /var/run/docker.sock: connect: connection refused"),
        Failure("no_image", "No such image: web:1"),
        Failure("engine", "grpc: the client connection is closing"),
        Failure("overloaded", "context deadline exceeded"),
    ],
    ids=lambda failure: failure.kind,
)
@pytest.mark.parametrize("until", ["failure", "safe"])
def test_an_engine_that_refuses_every_launch_ends_the_run_in_error(failure: Failure, until: Until) -> None:
    """Exit code 5 with the engine's own words; no ceiling is named, and what ran is the least that fits."""
    profile = replace(PROFILE, ramp=replace(PROFILE.ramp, until=until))
    run = simulate(profile, during=refusing(failure))
    document = result(run.state, bounds_of(profile))
    assert isinstance(run.problem, EngineUnavailable)
    assert run.problem.exit_code == 5
    assert failure.message in str(run.problem)
    assert (document["outcome"], document["verdict"]) == ("error", None)
    assert run.state.peak.count >= 20
    hard = document["capacity"]["hard"]
    assert (hard["kind"], hard["count"], hard["at_least"]) == ("observed", run.state.peak.count, True)
    assert run.host.alive == 0


def test_an_engine_that_stands_still_ends_the_run_in_error() -> None:
    """Every launch of a wave runs out of time before anything was made, with the slice nearly empty."""
    run = simulate(PROFILE, during=stall)
    assert isinstance(run.problem, EngineUnavailable)
    assert run.state.outcome is not None
    assert (run.state.outcome.outcome, run.state.outcome.ceiling) == ("error", "")


def test_one_refused_launch_does_not_end_a_run() -> None:
    """The next launches succeed, so the engine is there."""
    run = simulate(PROFILE, during=refusing(Failure("refused", "connection refused"), times=1))
    assert run.problem is None
    assert run.state.workloads["web"].failed == 1
    assert run.state.peak.count == 500
