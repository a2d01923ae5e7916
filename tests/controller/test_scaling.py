"""Scaling down: a count is measured when the instances beyond it are gone, not when they were told to go."""

from collections.abc import Sequence

import anyio
from support.simulation import Simulated, simulate

from density.controller.run import Controller
from density.controller.scaling import ATTEMPTS
from density.engines.simulated import SimulatedEngine
from density.errors import EngineUnavailable
from density.events import InstanceChanged, StageEntered, SteppedBack, WaveSettled
from density.model import Phase, Workload
from density.profile.spec import Objectives, Profile, Ramp, SimulatedHost

PROFILE = Profile(
    name="test",
    workloads=(Workload(name="web", engine="simulated", burn=0.1),),
    ramp=Ramp(shape="geometric", start=10, factor=2.0, max_instances=1000, hold_seconds=0.0),
    objectives=Objectives(cpu_busy_share=0.655),
    simulated=SimulatedHost(cpus=8),
)
"""It overshoots, so that a search scales down."""


def stubborn(failures: int) -> tuple[Simulated, list[Sequence[str]]]:
    """A run in which stopping one instance fails so often; and what was asked to stop, until the teardown."""
    asked: list[Sequence[str]] = []

    async def during(controller: Controller, engine: SimulatedEngine) -> None:
        real = engine.stop

        async def stop(instance_ids: Sequence[str]) -> None:
            if controller.torn is None and controller._bus.state.stage != "teardown":
                asked.append(instance_ids)
                if len(asked) <= failures:
                    engine._changes.report(engine._instances[instance_ids[0]], Phase.STOPPING)
                    await real(instance_ids[1:])
                    return
            await real(instance_ids)

        engine.stop = stop  # type: ignore[method-assign]
        await anyio.sleep_forever()

    return simulate(PROFILE, during=during), asked


def settled_after_scaling_down(run: Simulated) -> int:
    """How many counts were measured once the run had begun to scale down."""
    first = next(number for number, event in enumerate(run.events) if isinstance(event, SteppedBack))
    end = next(n for n, each in enumerate(run.events) if isinstance(each, StageEntered) and each.stage == "teardown")
    return sum(isinstance(event, WaveSettled) for event in run.events[first:end])


def test_what_cannot_be_stopped_is_not_measured_as_gone() -> None:
    """The run ends by the engine's failure, which names the instance; no count is measured with it still there."""
    run, asked = stubborn(failures=ATTEMPTS)
    assert isinstance(run.problem, EngineUnavailable)
    stuck = asked[0][0]
    assert (run.problem.exit_code, stuck in run.problem.reason) == (5, True)
    assert asked[1:] == [[stuck]] * (ATTEMPTS - 1)
    assert settled_after_scaling_down(run) == 0


def test_what_does_not_go_at_once_is_asked_again() -> None:
    """Then the count is measured, and the instance ends once."""
    run, asked = stubborn(failures=1)
    assert run.problem is None
    stuck = asked[0][0]
    assert asked[1] == [stuck]
    assert settled_after_scaling_down(run) > 0
    removed = [each for each in run.events if isinstance(each, InstanceChanged) and each.instance_id == stuck]
    assert [each.phase for each in removed].count(Phase.REMOVED) == 1
