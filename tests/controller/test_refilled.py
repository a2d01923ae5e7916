"""The stage that a soak puts in place of the hold: what died is launched again, by the ramp's own steps."""

from dataclasses import replace

import anyio
import pytest
from support.recorded_runs import PROFILE
from support.simulation import simulate
from torture.refilled import Refiller

from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import StageEntered

FULL = 8


def test_what_died_is_launched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of eight dies every 30 s for ten minutes: at the end all eight are there, and each death is known."""

    async def churn(_: Controller, engine: SimulatedEngine) -> None:
        await anyio.sleep(120)
        for number in range(1, 11):
            engine.lose(f"web-{number:05d}")
            await anyio.sleep(30)

    monkeypatch.setattr("density.controller.run.Holder", Refiller)
    monkeypatch.setattr(Refiller, "seconds", 600.0)
    ramp = replace(PROFILE.ramp, start=4, max_instances=FULL)
    host = replace(PROFILE.simulated, failure_share=0.0)
    ran = simulate(replace(PROFILE, workloads=PROFILE.workloads[:1], ramp=ramp, simulated=host), during=churn)
    web = ran.state.workloads["web"]
    assert ran.problem is None
    assert (web.lost, web.ready) == (10, FULL + 10)
    assert ran.state.alive_at_end == {"web": FULL}
    (hold,) = (event.at for event in ran.events if isinstance(event, StageEntered) and event.stage == "hold")
    assert ran.state.torn_down is not None
    assert ran.state.torn_down.at - hold >= 600
