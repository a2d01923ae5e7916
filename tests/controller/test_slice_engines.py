"""Every limit of the slice over every engine: the kernel holds it, or density does, or says that nobody does.

docs/slice.md has the table of this.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from density.controller.session import Ended, Session
from density.events import Event, HostSampled, InstanceChanged
from density.host.cgroup import read_limits
from density.host.hierarchies import find_hierarchies, slice_paths
from density.host.protection import VICTIMS_BADNESS
from density.host.slice import slice_name
from density.host.slice_directories import count_tasks
from density.model import EngineName, Phase, Workload
from density.profile.spec import Endpoints, Profile, Ramp, Slice
from density.state import RunState

MIB = 2**20
LIMITS = Slice(memory_bytes=2048 * MIB, tasks=400, cpus=1.5)
CONTROLLERS = {"memory": "memory", "tasks": "pids", "cpus": "cpu"}
LXC = "lxc:///system"


@dataclass(frozen=True)
class Case:
    """An engine, and what it runs."""

    name: str
    workload: Workload
    endpoints: Endpoints = Endpoints()


def _workload(engine: EngineName, **values: object) -> Workload:
    return Workload(name="w", engine=engine, **values)  # type: ignore[arg-type]  # fields by name


CASES = [
    pytest.param(Case("docker", _workload("docker")), id="docker", marks=pytest.mark.docker),
    pytest.param(
        Case("libvirt", _workload("libvirt", guest="null", memory_bytes=64 * MIB)), id="qemu", marks=pytest.mark.libvirt
    ),
    pytest.param(
        Case("libvirt", _workload("libvirt", guest="none"), Endpoints(libvirt=LXC)), id="lxc", marks=pytest.mark.lxc
    ),
    pytest.param(Case("native", _workload("native")), id="native"),
]
pytestmark = pytest.mark.root


@dataclass
class Look:
    """A sink that looks at the slice when so many instances are ready."""

    run_id: str
    ready: int = 2
    processes: dict[str, list[int]] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    badness: dict[int, int] = field(default_factory=dict)
    most_tasks: int = 0

    def handle(self, event: Event) -> None:
        """Count, and look once."""
        if isinstance(event, HostSampled):
            self.most_tasks = max(self.most_tasks, self._tasks())
        if isinstance(event, InstanceChanged) and event.phase is Phase.READY:
            self.ready -= 1
            if self.ready == 0:
                self._look()

    def _tasks(self) -> int:
        """Living ones, of which the kernel's own number has more: what has ended, until its parent asks."""
        hierarchies = find_hierarchies(Path("/"))
        paths = [slice_paths(hierarchies, f"{slice_name(self.run_id)}{each}") for each in (".partition", ".slice")]
        return sum(count_tasks(each.controllers["pids"]) for each in paths if "pids" in each.controllers)

    def _look(self) -> None:
        hierarchies = find_hierarchies(Path("/"))
        for ending in (".partition", ".slice"):
            paths = slice_paths(hierarchies, f"{slice_name(self.run_id)}{ending}")
            if "memory" in paths.controllers:
                self.limits = read_limits(paths)
                for limit, controller in CONTROLLERS.items():
                    self.processes[limit] = list(_processes(paths.controllers[controller]))
        for pid in {pid for pids in self.processes.values() for pid in pids}:
            if b"--spawn" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                self.badness[pid] = int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def _processes(directory: Path) -> Iterator[int]:
    for file in directory.rglob("cgroup.procs"):
        yield from map(int, file.read_text().split())


def _run(tmp_path: Path, case: Case, limits: Slice, ramp: Ramp) -> tuple[Ended, Look]:
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-51ce"
    look = Look(run_id)
    profile = Profile(name="slice", workloads=(case.workload,), ramp=ramp, slice=limits, endpoints=case.endpoints)
    session = Session(run_id=run_id, run_dir=tmp_path / run_id, told=lambda _: None)
    return anyio.run(session.run, profile, RunState(), [look]), look


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_holds_each_limit_to_every_instance(tmp_path: Path, case: Case) -> None:
    """All processes of two instances are in the cgroup of each limit, which is set, and are the first to be killed."""
    ended, look = _run(tmp_path, case, LIMITS, Ramp(calibrate=2, max_instances=2, settle_seconds=0.2, hold_seconds=0.0))
    assert ended.problem is None
    assert look.limits == {
        "slice.memory_limit_bytes": LIMITS.memory_bytes,
        "slice.tasks_limit": LIMITS.tasks,
        "slice.cpus_limit": LIMITS.cpus,
    }
    assert {limit: len(pids) >= 2 for limit, pids in look.processes.items()} == dict.fromkeys(CONTROLLERS, True)
    assert len(set(map(frozenset, look.processes.values()))) == 1
    assert set(look.badness.values()) == {VICTIMS_BADNESS}
    assert not [warning for warning in ended.state.warnings if "not enforced" in warning]


@pytest.mark.parametrize("case", CASES)
def test_a_limit_of_tasks_ends_the_ramp(tmp_path: Path, case: Case) -> None:
    """With room for a dozen tasks no engine's instances have more, and the ramp ends for that reason."""
    ramp = Ramp(until="failure", calibrate=1, start=1, max_instances=40, settle_seconds=0.2, hold_seconds=0.0)
    ended, look = _run(tmp_path, case, Slice(tasks=12), ramp)
    state = ended.state
    assert ended.problem is None
    assert state.outcome is not None
    assert (state.outcome.outcome, state.outcome.ceiling) == ("ceiling", "tasks.cgroup")
    assert 1 <= state.peak.count <= 12
    # Where density itself judges (libvirt on cgroup v1), the one too many is there for the moment until it is refused.
    assert 1 <= look.most_tasks <= 12 + (0 if case.name == "native" else look.most_tasks // max(1, state.peak.count))
    assert state.torn_down is not None
    assert state.torn_down.left == ()


@pytest.mark.parametrize("case", CASES[1:3])
def test_a_slice_that_is_too_small_for_one(tmp_path: Path, case: Case) -> None:
    """With room for two tasks not one instance of these engines is ready, and the ramp ends for that reason."""
    ramp = Ramp(until="failure", calibrate=4, max_instances=8, settle_seconds=0.2, hold_seconds=0.0)
    ended, _ = _run(tmp_path, case, Slice(tasks=2), ramp)
    assert ended.problem is None
    assert ended.state.outcome is not None
    assert (ended.state.outcome.outcome, ended.state.outcome.ceiling) == ("ceiling", "tasks.cgroup")
    assert ended.state.peak.count == 0
    assert ended.state.torn_down is not None
    assert ended.state.torn_down.left == ()
