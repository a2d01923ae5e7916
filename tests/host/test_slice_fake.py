"""The slice on hosts that are not this one: systemd with v2, v2 without it, v1 as found, and no right to anything."""

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from density.host import Slice, SliceUnavailable, remove_stale, slice_systemd
from density.host.hierarchies import find_hierarchies, slice_paths
from density.host.slice import find_runs
from density.host.slice_directories import make_directories, set_limits
from density.host.slice_limits import Limits, differences
from density.host.slice_systemd import NoAnswer, properties, run_command

pytestmark = pytest.mark.anyio

RUN_ID = "20261124-080000-abcd"
BUSY_ID = "20261124-080000-ffff"
UNIT = "density20261124080000abcd.slice"
MIB = 2**20


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Nothing here depends on the loop."""
    return str(request.param)


def make_host(root: Path, *, systemd: bool, machined: bool = True) -> Path:
    """A fake v2 host; returns where its cgroups are mounted."""
    mount = root / "sys/fs/cgroup"
    mount.mkdir(parents=True)
    (mount / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (mount / "cgroup.subtree_control").touch()
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text("30 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    if systemd:
        (root / "run/systemd/system").mkdir(parents=True)
    if machined:
        service = root / "usr/share/dbus-1/system-services/org.freedesktop.machine1.service"
        service.parent.mkdir(parents=True)
        service.touch()
    return mount


class Systemd:
    """Does to a fake cgroup tree what systemctl makes systemd do; `tasks_max` overrules what is asked for.

    It `hangs` once a unit is to be stopped, or `forgets_nothing` of one that was.
    """

    def __init__(
        self,
        mount: Path,
        *,
        tasks_max: str = "",
        refuses: bool = False,
        hangs: bool = False,
        forgets_nothing: bool = False,
    ) -> None:
        self.mount = mount
        self.tasks_max = tasks_max
        self.refuses = refuses
        self.hangs = hangs
        self.forgets_nothing = forgets_nothing
        self.commands: list[str] = []

    async def __call__(self, command: Sequence[str]) -> None:
        _, _, verb, *rest = command
        self.commands.append(" ".join([verb, *rest]))
        if self.refuses:
            raise SliceUnavailable("systemctl start: Access denied")
        directory = self.mount / UNIT
        if verb == "start":
            directory.mkdir()
            (directory / "cgroup.events").write_text("populated 0\nfrozen 0\n")
        elif verb == "set-property":
            asked = dict(word.split("=") for word in rest[2:])
            (directory / "memory.max").write_text(asked.get("MemoryMax", "max"))
            (directory / "pids.max").write_text(self.tasks_max or asked.get("TasksMax", "max"))
            percent = float(asked["CPUQuota"].rstrip("%")) if "CPUQuota" in asked else None
            (directory / "cpu.max").write_text(f"{percent * 1000:.0f} 100000" if percent else "max 100000")
            drop_in(self.mount, UNIT)
        elif verb == "stop":
            if self.hangs:
                raise NoAnswer("systemctl stop: no answer within 10 s")
            shutil.rmtree(directory, ignore_errors=True)
        elif verb == "revert" and not self.forgets_nothing:
            shutil.rmtree(self.mount.parents[2] / "run/systemd/system.control" / f"{rest[0]}.d", ignore_errors=True)


def drop_in(mount: Path, unit: str) -> Path:
    """The properties of a unit as systemd keeps them."""
    path = mount.parents[2] / "run/systemd/system.control" / f"{unit}.d/50-MemoryMax.conf"
    path.parent.mkdir(parents=True)
    path.touch()
    return path.parent


async def test_systemd_makes_limits_and_removes(tmp_path: Path) -> None:
    """The slice is a unit with the limits as properties; leaving it stops the unit and forgets its properties."""
    run = Systemd(make_host(tmp_path, systemd=True))
    async with Slice(RUN_ID, memory_bytes=64 * MIB, tasks=50, cpus=1.25, root=tmp_path, run=run) as made:
        assert made.paths.controllers["pids"] == run.mount / UNIT
    assert made.left == ()
    start, limit, *stop = run.commands
    assert start == f"start {UNIT}"
    assert limit.startswith(f"set-property --runtime {UNIT} MemoryAccounting=yes ")
    assert limit.endswith(f" MemoryMax={64 * MIB} MemorySwapMax=0 TasksMax=50 CPUQuota=125%")
    assert stop == [f"stop {UNIT}", f"revert {UNIT}"]


async def test_a_slice_that_is_looked_at_while_it_is_made_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean-up has its lock in that instant; the run waits for it, so that no later one takes it for a leftover."""
    run = Systemd(make_host(tmp_path, systemd=True))
    taken = fcntl.flock
    looking: list[threading.Timer] = []

    def raced(file: int, how: int) -> None:
        if not looking:
            other = os.open(f"/proc/self/fd/{file}", os.O_RDONLY)
            taken(other, fcntl.LOCK_EX)
            looking.append(threading.Timer(0.05, os.close, [other]))
            looking[0].start()
        taken(file, how)

    monkeypatch.setattr(fcntl, "flock", raced)
    async with Slice(RUN_ID, root=tmp_path, run=run):
        looking[0].join()
        assert await remove_stale(RUN_ID, root=tmp_path, run=run) == ((), (UNIT,))
        assert len(run.commands) == 2


async def test_placement_under_systemd(tmp_path: Path) -> None:
    """Docker's systemd driver wants the unit's name, its cgroupfs driver a path; our own processes go to a leaf."""
    run = Systemd(make_host(tmp_path, systemd=True))
    async with Slice(RUN_ID, root=tmp_path, run=run) as made:
        placement = made.placement()
    assert placement.docker_parents == {"systemd": UNIT, "cgroupfs": f"/{UNIT}"}
    assert placement.libvirt_partition == "/density20261124080000abcd"
    assert placement.procs_files == (str(run.mount / UNIT / "processes/cgroup.procs"),)


async def test_libvirt_without_machined_gets_the_directory(tmp_path: Path) -> None:
    """Without machined libvirt makes directories itself, and takes a name with a suffix as it is."""
    run = Systemd(make_host(tmp_path, systemd=True, machined=False))
    async with Slice(RUN_ID, root=tmp_path, run=run) as made:
        assert made.placement().libvirt_partition == f"/{UNIT}"


async def test_limits_that_do_not_come_are_an_error(tmp_path: Path) -> None:
    """What the kernel holds is read back; another number than was asked for ends the slice, and nothing stays."""
    run = Systemd(make_host(tmp_path, systemd=True), tasks_max="51")
    with pytest.raises(SliceUnavailable, match="51 tasks instead of 50"):
        async with Slice(RUN_ID, tasks=50, root=tmp_path, run=run):
            pytest.fail("the slice was entered")
    assert not (run.mount / UNIT).exists()


async def test_a_systemd_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call has a limit, also in a shield; the error says which call it was."""
    monkeypatch.setattr(slice_systemd, "ANSWER_SECONDS", 0.2)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\nexec sleep 3600\n")
    systemctl.chmod(0o700)
    with anyio.fail_after(10), pytest.raises(NoAnswer, match=r"systemctl start .* no answer"):
        with anyio.CancelScope(shield=True):
            await run_command([str(systemctl), "start", UNIT])


@pytest.mark.parametrize("error", [OSError(errno.EAGAIN, "no fork"), RuntimeError("can't start new thread")])
async def test_a_host_that_cannot_fork_is_no_answer_either(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd was not asked."""

    async def refused(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(anyio, "run_process", refused)
    with pytest.raises(NoAnswer):
        await run_command(["systemctl", "stop", UNIT])


async def test_what_a_systemd_that_hangs_keeps_is_named(tmp_path: Path) -> None:
    """The unit, with the call; its properties stay, so that the next clean-up finds it."""
    run = Systemd(make_host(tmp_path, systemd=True), hangs=True)
    async with Slice(RUN_ID, root=tmp_path, run=run) as made:
        shutil.rmtree(run.mount / UNIT / "processes")
        for path in (run.mount / UNIT).iterdir():
            path.unlink()
    assert [UNIT in left and "no answer" in left for left in made.left] == [True]
    assert not (run.mount / UNIT).exists()
    assert find_runs(tmp_path) == {RUN_ID}
    assert await remove_stale(RUN_ID, root=tmp_path, run=run) == ((), made.left)
    run.hangs = False
    assert await remove_stale(RUN_ID, root=tmp_path, run=run) == ((UNIT,), ())
    assert find_runs(tmp_path) == set()


@pytest.mark.parametrize("directory", ["system.control", "transient"])
async def test_units_and_properties_of_dead_runs_go(tmp_path: Path, directory: str) -> None:
    """Though no cgroup is there any more and systemd forgets nothing by itself; foreign ones stay."""
    run = Systemd(make_host(tmp_path, systemd=True), forgets_nothing=True)
    there = tmp_path / "run/systemd" / directory
    for name in (UNIT, "machine.slice", "density.slice", "densityserver20261124.slice"):
        (there / f"{name}.d").mkdir(parents=True)
        (there / f"{name}.d/50-TasksMax.conf").touch()
        (there / name).touch()
    assert find_runs(tmp_path) == {RUN_ID}
    assert await remove_stale(RUN_ID, root=tmp_path, run=run) == ((UNIT,), ())
    assert not any(path.name.startswith(UNIT) for path in there.iterdir())
    assert len(list(there.iterdir())) == 6


async def test_a_refusal_says_why(tmp_path: Path) -> None:
    """Without the right to, systemd's own words are the error."""
    run = Systemd(make_host(tmp_path, systemd=True), refuses=True)
    with pytest.raises(SliceUnavailable, match="Access denied"):
        async with Slice(RUN_ID, root=tmp_path, run=run):
            pytest.fail("the slice was entered")


async def test_no_cgroups_is_said(tmp_path: Path) -> None:
    """A host without mounted cgroups has no slice."""
    with pytest.raises(SliceUnavailable, match="no cgroup hierarchy"):
        async with Slice(RUN_ID, root=tmp_path):
            pytest.fail("the slice was entered")


async def test_clean_up_stops_only_units_of_ours(tmp_path: Path) -> None:
    """Of all slices, only those are touched whose names density gives, and only where no process is in them."""
    run = Systemd(make_host(tmp_path, systemd=True))
    await run(["systemctl", "-", "start", UNIT])
    for other in ("machine.slice", "density.slice", "densityserver20261124.slice", "density20261124080000abcd.mount"):
        (run.mount / other).mkdir()
    busy = run.mount / "density20261124080000ffff.slice"
    busy.mkdir()
    (busy / "cgroup.events").write_text("populated 1\n")
    assert find_runs(tmp_path) == {RUN_ID, BUSY_ID}
    assert await remove_stale(RUN_ID, root=tmp_path, run=run) == ((UNIT,), ())
    assert await remove_stale(BUSY_ID, root=tmp_path, run=run) == ((), (busy.name,))
    assert len(list(run.mount.glob("*.slice"))) == 4
    assert run.commands[1:] == [f"stop {UNIT}", f"revert {UNIT}"]


def test_no_limits_still_account() -> None:
    """The sensors need accounting even where nothing is limited."""
    assert properties(Limits()) == ["MemoryAccounting=yes", "TasksAccounting=yes", "CPUAccounting=yes"]


def test_v2_without_systemd(tmp_path: Path) -> None:
    """Controllers are turned on for children in the top and in the slice, and limits are written, swap included."""
    mount = make_host(tmp_path, systemd=False)
    directory = mount / "x.partition"
    directory.mkdir()
    for name in ("cgroup.subtree_control", "memory.max", "memory.swap.max", "pids.max", "cpu.max"):
        (directory / name).touch()
    hierarchies = find_hierarchies(tmp_path)
    procs = make_directories(hierarchies, "x.partition", delegate=True)
    assert procs == [directory / "processes/cgroup.procs"]
    for parent in (mount, directory):
        assert "+cpuset" in (parent / "cgroup.subtree_control").read_text()
    paths = slice_paths(hierarchies, "x.partition")
    limits = Limits(memory_bytes=64 * MIB, tasks=50, cpus=0.5)
    set_limits(paths, limits)
    assert (directory / "memory.swap.max").read_text() == "0"
    assert differences(paths, limits) == []
    assert differences(paths, Limits(memory_bytes=65 * MIB)) == ["memory 64 MiB instead of 65 MiB"]


def test_a_missing_controller_is_named(tmp_path: Path) -> None:
    """A limit whose controller is off fails with the file that is missing."""
    mount = make_host(tmp_path, systemd=False)
    (mount / "x.partition").mkdir()
    with pytest.raises(SliceUnavailable, match=r"pids\.max: No such file"):
        set_limits(slice_paths(find_hierarchies(tmp_path), "x.partition"), Limits(tasks=5))
