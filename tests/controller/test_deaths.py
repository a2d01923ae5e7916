"""Instances that die after they were ready: each workload is judged by itself, and none that died is recommended."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import anyio
import pytest
from support.recorded_runs import record
from support.simulation import Simulated, simulate

from density.capacity.capacities import capacities
from density.capacity.deaths import deaths, died_out
from density.cli.missed import missed
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import InstanceChanged
from density.model import Failure, Phase, Workload
from density.profile.spec import Objectives, Profile, Ramp
from density.ramp.decide import bounds_of
from density.report.checks import checks
from density.report.junit import junit
from density.report.recorded import read_run
from density.report.result import result

WEB = Workload(name="web", engine="simulated")
DB = Workload(name="db", engine="simulated")
LINES = ("connecting", "FATAL: DATABASE_URL is not set")
DIED = Failure("exited", "the instance ended by itself", LINES, exit_code=1)
PROFILE = Profile(name="deaths", workloads=(WEB,), ramp=Ramp(max_instances=8, hold_seconds=20))


def dying(profile: Profile, *, of: str = "web", numbers: Collection[int] = range(1, 10_000)) -> Simulated:
    """A run in which these instances of a workload die two seconds after they were ready."""

    async def kill(controller: Controller, engine: SimulatedEngine) -> None:
        async def one(instance_id: str) -> None:
            await anyio.sleep(2)
            if engine.pingable(instance_id):
                engine.forget(instance_id)
                change = InstanceChanged(anyio.current_time(), instance_id, of, Phase.LOST, DIED)
                controller._bus.emit(change)

        state, seen = controller._bus.state, set()
        async with anyio.create_task_group() as group:
            while True:
                for name, instance in list(state.instances.items()):
                    mine = instance.workload == of and int(name.rpartition("-")[2]) in numbers
                    if mine and instance.phase is Phase.READY and name not in seen:
                        seen.add(name)
                        group.start_soon(one, name)
                await anyio.sleep(0.1)

    return simulate(profile, during=kill)


@pytest.mark.parametrize("objectives", [Objectives(), Objectives(failures_share=0.01)])
def test_a_workload_whose_every_instance_died_is_a_failure(objectives: Objectives) -> None:
    """Exit code 3 with how they ended and their last lines, with or without an objective; nothing is recommended."""
    profile = replace(PROFILE, objectives=objectives)
    run = dying(profile)
    document = result(run.state, bounds_of(profile))
    web = run.state.workloads["web"]
    assert web.lost == web.ready > 0
    sentences = list(missed(document))
    assert sentences[0].splitlines()[0] == f"{web.lost} of {web.ready} web exited (code 1) after they were ready"
    assert LINES[-1] in sentences[0].splitlines()[-1]
    assert not any(document["capacity"][kind]["count"] for kind in ("slo", "recommended"))
    assert document["workloads"]["web"]["deaths"] == {
        "all": True,
        "endings": {"exited (code 1)": web.lost},
        "last_lines": list(LINES),
    }


@pytest.mark.parametrize("objectives", [Objectives(), Objectives(failures_share=0.01)])
def test_each_workload_is_judged_by_itself(objectives: Objectives) -> None:
    """One of two dies out, the other stays: that is no success, and no count of the two is recommended."""
    profile = replace(PROFILE, workloads=(WEB, DB), objectives=objectives)
    run = dying(profile)
    document = result(run.state, bounds_of(profile))
    assert run.state.workloads["db"].lost == 0
    assert [each.workload for each in died_out(run.state)] == ["web"]
    assert any("web exited (code 1)" in sentence for sentence in missed(document))
    assert not document["capacity"]["recommended"]["count"]
    assert not document["capacity"]["slo"]["count"]


def test_deaths_count_for_the_objective_of_failures() -> None:
    """Every fourth instance dies: the objective of one in a hundred is violated, of this workload alone."""
    profile = replace(
        PROFILE,
        workloads=(WEB, DB),
        ramp=Ramp(max_instances=60, hold_seconds=20),
        objectives=Objectives(failures_share=0.01),
    )
    run = dying(profile, numbers=range(4, 1000, 4))
    assert run.state.outcome is not None
    assert run.state.outcome.ceiling == "slo.failures"
    last = run.state.settled[-1].values
    assert last.get("slo.failures.db.failed_count", 0) == 0
    assert max(point.values.get("slo.failures.web.failed_ratio", 0) for point in run.state.settled) > 0.01
    assert not died_out(run.state)


def test_one_death_of_many_is_no_failure_but_said() -> None:
    """One of sixty is chance: the run goes on, exits as ever, and the report counts it."""
    profile = replace(PROFILE, ramp=Ramp(max_instances=60, hold_seconds=20), objectives=Objectives(failures_share=0.05))
    run = dying(profile, numbers=[7])
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "max"
    assert list(missed(result(run.state, bounds_of(profile)))) == []
    assert [(each.workload, each.count, each.total) for each in deaths(run.state)] == [("web", 1, False)]
    assert capacities(run.state, bounds_of(profile)).recommended.count > 50


def test_ci_sees_a_failure_with_the_last_lines(tmp_path: Path) -> None:
    """JUnit has a failed case for the workload, and the report a check that makes its numbers invalid."""
    run = read_run(record(dying(PROFILE).events, tmp_path / "run"))
    cases = {case.get("name"): case for case in ET.fromstring(junit(run)).iter("testcase")}  # noqa: S314 — ours
    failed = cases["web"].find("failure")
    assert failed is not None
    assert LINES[-1] in failed.get("message", "")
    assert [check.grade for check in checks(run) if check.name == "Deaths"] == ["invalid"]
