"""What is found out of instances when a wave has been launched."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from support.simulation import Simulated, simulate

from density.controller.equip import _slice, equip
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.host.slice_limits import SliceUnavailable
from density.model import Workload
from density.profile.spec import Profile, Ramp, Slice

WEB = Workload(name="web", engine="simulated")
DB = Workload(name="db", engine="simulated")
PROFILE = Profile(
    name="test",
    workloads=(WEB, DB),
    ramp=Ramp(calibrate=2, max_instances=12),
    slice=Slice(tasks=500, memory_bytes=2**30),
)


def _run(monkeypatch: pytest.MonkeyPatch, populations: Callable[[SimulatedEngine], Mapping[str, int]]) -> Simulated:
    """A run whose slice holds so many processes."""
    real = Controller.__init__

    def init(self: Controller, equipment, **others) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003
        engine = equipment.engines["simulated"]
        real(self, replace(equipment, populations=lambda: populations(engine)), **others)

    monkeypatch.setattr(Controller, "__init__", init)
    return simulate(PROFILE)


def _unenforced(run: Simulated) -> list[str]:
    return [warning for warning in run.state.warnings if "not enforced" in warning]


def test_instances_that_are_in_the_slice_need_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a process at least in every cgroup whose limit was asked for."""
    run = _run(monkeypatch, lambda engine: dict.fromkeys(("tasks", "memory"), engine.host.alive))
    assert _unenforced(run) == []


def test_a_limit_that_does_not_hold_an_engines_instances_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one workload are outside for tasks, and in for memory: one warning, with the key and the workload."""

    def populations(engine: SimulatedEngine) -> Mapping[str, int]:
        web = sum(name.startswith("web") for name in engine._instances)
        return {"tasks": web, "memory": engine.host.alive}

    [warning] = _unenforced(_run(monkeypatch, populations))
    assert "slice.tasks" in warning
    assert "db" in warning
    assert "web" not in warning


@pytest.mark.parametrize(("cpus", "warned"), [(0.0, 0), (1.5, 1)])
def test_what_a_simulated_host_does_not_limit_is_said(tmp_path: Path, cpus: float, warned: int) -> None:
    """It holds memory and tasks to the slice, and CPU time not."""
    profile = replace(PROFILE, slice=Slice(tasks=500, memory_bytes=2**30, cpus=cpus))

    async def warnings() -> tuple[str, ...]:
        async with equip(profile, run_id="r", runtime_dir=tmp_path, run_dir=tmp_path) as equipment:
            return equipment.warnings

    assert sum("slice.cpus" in warning for warning in anyio.run(warnings)) == warned


@pytest.mark.parametrize(
    ("limits", "warned"), [(Slice(), 0), (Slice(tasks=2), 1), (Slice(memory_bytes=2**30), 1), (Slice(cpus=1.0), 1)]
)
def test_where_there_can_be_no_slice_each_limit_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, limits: Slice, warned: int
) -> None:
    """Without the right to make cgroups, or without any, the run goes on, and says so if one was asked."""

    async def refuse(_: object) -> None:
        raise SliceUnavailable("no cgroup hierarchy that accounts memory is mounted here")

    monkeypatch.setattr("density.host.slice.Slice.__aenter__", refuse)

    async def made() -> tuple[object, tuple[str, ...]]:
        async with AsyncExitStack() as stack:
            return await _slice(replace(PROFILE, slice=limits), "20260101-000000-0000", stack, [])

    slice_, warnings = anyio.run(made)
    assert slice_ is None
    assert len(warnings) == warned
