"""The comparison itself: how far each subject is ramped, and a whole one with plain processes."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from density.capacity.versus.figure import Figures, Subject
from density.controller.engines import LXC
from density.controller.versus import performing, starting
from density.controller.versus.bed import Bed, Launched
from density.controller.versus.interruption import TOLD, interruptible
from density.controller.versus.lxc import by_lxc
from density.controller.versus.measure import ROWS, compare
from density.controller.versus.subjects import alone, smaller
from density.engines.simulated import HostModel, SimulatedEngine
from density.errors import EngineUnavailable, UsageError
from density.model import Reaped, Workload
from density.profile.load import load_profile
from density.profile.spec import Endpoints, Profile, Ramp, SimulatedHost, Slice
from density.report.versus.table import make_rows

if TYPE_CHECKING:
    from density.engines.base import EngineContext

pytestmark = pytest.mark.anyio
RUN = "20260101-000000-00ff"


@pytest.fixture
def anyio_backend() -> str:
    """Real processes are tested on asyncio."""
    return "asyncio"


class Away(SimulatedEngine):
    """Does not answer twice when it is to reap, and is away, or not."""

    refusals = 2
    is_away = True

    async def reap(self, run_id: str) -> Reaped:
        """Refuse, then find nothing."""
        self.refusals -= 1
        if self.refusals >= 0:
            raise EngineUnavailable("simulated", "connection reset by peer", is_away=self.is_away)
        return await super().reap(run_id)


@pytest.mark.parametrize("is_away", [True, False])
async def test_an_engine_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch, *, is_away: bool) -> None:
    """As at the end of a run: nothing is left once it is back; one that is there and silent is named, and noted."""
    monkeypatch.setattr(Away, "is_away", is_away)
    context = cast("EngineContext", SimpleNamespace(run_id=RUN, channel=None))
    host = HostModel(SimulatedHost(), slice_=Slice(), workloads=(), clock=anyio.current_time)
    left: list[str] = []
    bed = Bed(context, {"simulated": Away(context, host=host)}, left=left)
    await bed.clear()
    assert bool(left) != is_away
    assert bed.unasked == ([] if is_away else ["simulated"])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round of everything, and benchmarks of a few milliseconds."""
    monkeypatch.setattr(starting, "ROUNDS", 1)
    monkeypatch.setattr(performing, "ROUNDS", 1)
    monkeypatch.setattr(performing, "SECONDS", 0.01)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Profile:
    """Three processes at most, and a container for which there is no Docker."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ramp = Ramp(shape="linear", start=1, step=1, max_instances=3, settle_seconds=0.5, hold_seconds=0, calibrate=0)
    workloads = (Workload(name="process", engine="native"), Workload(name="container", engine="docker"))
    endpoints = Endpoints(docker=f"unix://{tmp_path}/none", missing="skip")
    return Profile(name="versus", workloads=workloads, ramp=ramp, endpoints=endpoints)


def test_each_subject_gets_its_share_of_every_number() -> None:
    """The largest share has the profile's own numbers, a sixth of it a sixth of them, and at least one."""
    profile = load_profile("versus")
    most = {workload.name: alone(profile, workload).ramp.max_instances for workload in profile.workloads}
    assert most == {"process": 24, "container": 24, "vm": 4, "null": 8}
    vm = alone(profile, profile.workloads[2])
    assert (vm.ramp.start, vm.ramp.step, vm.ramp.calibrate) == (1, 1, 1)
    assert vm.workloads == (profile.workloads[2],)


def test_lxc_runs_the_containers_workload() -> None:
    """As much of it, by the same waves, at libvirt's endpoint for containers; where no container runs there is none."""
    profile = load_profile("versus")
    subjects = [Subject(workload=workload) for workload in profile.workloads]
    lxc = by_lxc(profile, subjects)
    assert lxc is not None
    (workload,) = lxc.profile.workloads
    container = next(each for each in profile.workloads if each.engine == "docker")
    assert (lxc.column, workload.engine, workload.touch_bytes) == (container.name, "libvirt", container.touch_bytes)
    assert (lxc.profile.endpoints.libvirt, lxc.profile.ramp) == (LXC, alone(profile, container).ramp)
    assert by_lxc(profile, [replace(each, missing="not installed") for each in subjects]) is None


class Refusing:
    """A bed whose second subject's engine goes away in the second round."""

    def __init__(self) -> None:
        self.subjects = tuple(Subject(workload=Workload(name=name, engine="native")) for name in ("a", "b"))
        self.launches = 0

    async def launch_many(self, workload: Workload, _: int) -> list[Launched]:
        self.launches += 1
        if workload.name == "b" and self.launches > 2:
            raise EngineUnavailable("native", "it went away")
        return [Launched("x", 0.1, 0.2, 0.3)]

    async def stop(self, _: Workload, __: list[Launched]) -> None:
        """Nothing to stop."""


async def test_an_engine_that_goes_away_takes_no_other_subjects_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured of the others stays, and goes on."""
    monkeypatch.setattr(starting, "ROUNDS", 2)
    figures = Figures()
    await starting.measure_start(cast("Bed", Refusing()), figures, lambda _: None)
    ready = figures.get("start", "alone.ready", "a")
    assert ready is not None
    assert ready.samples == (0.3, 0.3)
    gone = figures.get("start", "", "b")
    assert gone is not None
    assert "it went away" in gone.why


def test_a_smaller_ramp_keeps_what_is_no_number_of_instances() -> None:
    """Waves shrink, times do not; no calibration stays none."""
    found = smaller(Ramp(shape="list", waves=(1, 10, 100), calibrate=0, settle_seconds=7), 0.1)
    assert (found.waves, found.calibrate, found.settle_seconds) == ((1, 1, 10), 0, 7)


async def test_processes_are_compared_where_there_is_no_docker(quick: None, processes: Profile, tmp_path: Path) -> None:
    """Every row comes out; the container's column says why it is empty; records of the ramps stay, and nothing else."""
    said: list[str] = []
    found = await compare(processes, run_id=RUN, run_dir=tmp_path / "run", say=said.append)
    process, container = found.subjects
    assert (process.missing, found.interrupted, found.left) == ("", False, ())
    assert "does not answer" in container.missing
    for row, name in (("start", "alone.ready"), ("start", "density.ready"), ("capacity", "count")):
        figure = found.figures.get(row, name, "process")
        assert figure is not None
        assert figure.samples
    kernel = found.figures.get("kernels", "release", "process")
    assert kernel is not None
    assert kernel.words == os.uname().release
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["process"]
    assert (tmp_path / "run/process/run.sqlite").is_file()
    rows = make_rows(found.figures, found.subjects, found.rows)
    assert [row.key for row in rows] == list(ROWS)
    assert not list((tmp_path / "density").glob("*/"))


async def test_rows_can_be_chosen_and_mistaken(quick: None, processes: Profile, tmp_path: Path) -> None:
    """One row measures that row alone; an unknown one is refused before anything is made."""
    found = await compare(processes, run_id=RUN, run_dir=tmp_path / "run", say=lambda _: None, rows=("disk",))
    assert {figure.row for figure in found.figures.found} == {"disk"}
    with pytest.raises(UsageError, match="there is no row 'disc'; there are start, disk,"):
        await compare(processes, run_id=RUN, run_dir=tmp_path / "no", say=lambda _: None, rows=("disc",))
    assert not (tmp_path / "no").exists()


async def test_without_any_engine_there_is_nothing_to_compare(processes: Profile, tmp_path: Path) -> None:
    """The one engine that is missing is the error."""
    lonely = alone(processes, processes.workloads[1])
    with pytest.raises(EngineUnavailable, match="docker"):
        await compare(lonely, run_id=RUN, run_dir=tmp_path / "run", say=lambda _: None)


async def test_an_interruption_ends_the_body_and_raises_nothing() -> None:
    """The first signal cancels what is going on and is told once; what comes after the body goes on."""
    said: list[str] = []
    async with interruptible(said.append) as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep(10)
        said.append("the body went on")
    assert interruption.came
    assert said == [TOLD]


async def test_an_interrupted_comparison_keeps_what_it_has(
    quick: None, processes: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C amid a row: the rows before it are kept, no ramp begins, no process is left."""

    def say(line: str) -> None:
        if line.startswith("performance, alone: memory"):
            os.kill(os.getpid(), signal.SIGINT)

    found = await compare(processes, run_id=RUN, run_dir=tmp_path / "run", say=say)
    assert found.interrupted
    assert found.left == ()
    assert found.figures.get("disk", "image", "process") is not None
    assert found.figures.get("capacity", "count", "process") is None


def test_the_last_figure_of_a_name_counts_and_an_empty_name_stands_for_the_row() -> None:
    """A row that failed as a whole explains each of its lines."""
    figures = Figures()
    figures.miss("disk", "", "vm", "it does not boot")
    found = figures.get("disk", "own", "vm")
    assert found is not None
    assert found.why == "it does not boot"
    figures.add("disk", "own", "vm", [1.0], unit="bytes")
    figures.add("disk", "own", "vm", [2.0], unit="bytes")
    last = figures.get("disk", "own", "vm")
    assert last is not None
    assert last.samples == (2.0,)


async def test_an_interruption_before_anything_is_ready_is_no_error(
    quick: None, processes: Profile, tmp_path: Path
) -> None:
    """Ctrl-C while engines are being asked: there is nothing to show, and nothing fails."""

    def say(line: str) -> None:
        if line == "making everything ready":
            os.kill(os.getpid(), signal.SIGINT)

    found = await compare(processes, run_id=RUN, run_dir=tmp_path / "run", say=say)
    assert found.interrupted
    assert found.left == ()
    assert make_rows(found.figures, found.subjects, found.rows)[0].held == "not measured"
