"""The slice on the real kernel, whichever cgroups and init it has: limits bite, values are right, nothing stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from density.host import HostReader, Slice, SliceUnavailable, place, remove_stale
from density.host.hierarchies import find_hierarchies, parse_membership
from density.host.slice import slice_name

pytestmark = [pytest.mark.anyio, pytest.mark.root]

MIB = 2**20
ENTER = "import os, sys\nfor file in sys.argv[1:]: open(file, 'w').write(str(os.getpid()))\n"
FORK = (
    ENTER
    + """
import errno
reading, writing = os.pipe()
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        made += 1
except OSError as error:
    print(made, errno.errorcode[error.errno])
os.close(writing)
for _ in range(made):
    os.wait()
"""
)
TOUCH = ENTER + "memory = bytearray(200 << 20)\nfor at in range(0, len(memory), 4096): memory[at] = 1\n"
STAY = "import sys\nsys.stdin.readline()\nmemory = b'x' * (8 << 20)\nprint(flush=True)\nsys.stdin.read()\n"


@pytest.fixture
def anyio_backend() -> str:
    """The loop that runs have."""
    return "asyncio"


@pytest.fixture
def run_id() -> Iterator[str]:
    """A run id of its own for each test; nothing of its slice may be left afterwards."""
    made = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"
    yield made
    assert cgroups_of(made) == []


def cgroups_of(run_id: str) -> list[str]:
    """Every directory of a run's slice, in every hierarchy."""
    return [
        str(path)
        for hierarchy in find_hierarchies(Path("/"))
        for path in hierarchy.directory.glob(f"{slice_name(run_id)}*")
    ]


def run_inside(made: Slice, program: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program whose first act is to enter the slice."""
    files = made.placement().procs_files
    return subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=False)


def stay_inside(made: Slice) -> subprocess.Popen[bytes]:
    """A process that lives in the slice, with 8 MiB taken there, until its standard input closes."""
    child = subprocess.Popen([sys.executable, "-c", STAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    place(child.pid, made.placement().procs_files)
    child.stdin.write(b"\n")
    child.stdin.flush()
    child.stdout.readline()
    return child


def membership(child: subprocess.Popen[bytes]) -> dict[str, str]:
    """Which cgroups a process is in."""
    return parse_membership(Path(f"/proc/{child.pid}/cgroup").read_text())


def end(child: subprocess.Popen[bytes]) -> None:
    """Let a process of `stay_inside` end."""
    child.communicate()


async def test_tasks_limit_bites(run_id: str) -> None:
    """A process in a slice of 20 tasks gets 19 children and then the kernel's EAGAIN; the peak is kept."""
    async with Slice(run_id, tasks=20) as made:
        done = await anyio.to_thread.run_sync(run_inside, made, FORK)
        values = HostReader(disks={}, slice=made.paths).read()
    assert done.stdout.split() == ["19", "EAGAIN"]
    assert values["slice.tasks_limit"] == 20
    assert values.get("slice.tasks_peak", 20) == 20
    assert "slice.memory_limit_bytes" not in values


async def test_memory_limit_bites_and_the_kill_is_counted(run_id: str) -> None:
    """A process past the slice's memory is killed by the kernel, and the slice's own counter says so, once."""
    async with Slice(run_id, memory_bytes=64 * MIB) as made:
        reader = HostReader(disks={}, slice=made.paths)
        host_before = reader.read()["memory.oom_kills"]
        done = await anyio.to_thread.run_sync(run_inside, made, TOUCH)
        values = reader.read()
    assert done.returncode == -9
    assert values["slice.oom_kills"] == 1
    assert values["slice.memory_limit_bytes"] == 64 * MIB
    assert values.get("slice.memory_peak_bytes", 64 * MIB) == 64 * MIB
    assert values["memory.oom_kills"] >= host_before + 1


async def test_values_are_totals_of_what_is_inside(run_id: str) -> None:
    """Two processes are two tasks with the memory that they took; a limit on CPU is in CPUs."""
    async with Slice(run_id, cpus=1.5) as made:
        children = [stay_inside(made), stay_inside(made)]
        values = HostReader(disks={}, slice=made.paths).read()
        for child in children:
            end(child)
    assert values["slice.tasks"] == 2
    assert values["slice.memory_bytes"] > 16 * MIB
    assert values["slice.anon_bytes"] > 16 * MIB
    assert values["slice.cpu_seconds"] >= 0
    assert values["slice.cpus_limit"] == 1.5


async def test_what_outlived_its_run_is_ended_by_the_clean_up(run_id: str) -> None:
    """Leaving kills nothing and says what is left; the clean-up ends it, wherever in the slice it is."""
    async with Slice(run_id) as made:
        inner = made.paths.controllers["pids"] / "inner"
        inner.mkdir()
        children = [stay_inside(made), stay_inside(made)]
        (inner / "cgroup.procs").write_text(str(children[1].pid))
    assert made.left
    assert [child.poll() for child in children] == [None, None]
    removed, left = await remove_stale(run_id)
    assert (removed, left) == ((Path(made.left[0]).name,), ())
    assert [child.wait(timeout=5) for child in children] == [-signal.SIGKILL, -signal.SIGKILL]
    for child in children:
        end(child)


async def test_a_clean_up_leaves_a_living_run_alone(run_id: str) -> None:
    """An empty slice that is in use is not taken for a leftover, neither by its own run's id nor among all."""
    async with Slice(run_id, tasks=20) as made:
        removed, left = await remove_stale(run_id)
        assert (removed, len(left)) == ((), 1)
        assert HostReader(disks={}, slice=made.paths).read()["slice.tasks"] == 0
    assert made.left == ()


async def test_placing_moves_a_process_only_once(run_id: str) -> None:
    """A process comes into the slice in every hierarchy, and one that is further inside stays where it is."""
    async with Slice(run_id) as made:
        child = stay_inside(made)
        top = made.placement().docker_parents["cgroupfs"]
        members = membership(child)
        assert {cgroup.split("/")[1] for cgroup in members.values()} == {top.lstrip("/")}
        inner = made.paths.controllers["pids"] / "inner"
        inner.mkdir()
        (inner / "cgroup.procs").write_text(str(child.pid))
        place(child.pid, made.placement().procs_files)
        key = "pids" if "pids" in members else ""
        assert membership(child)[key] == f"{top}/inner"
        end(child)
    assert made.left == ()


async def test_a_limit_that_the_kernel_refuses_leaves_nothing(run_id: str) -> None:
    """More tasks than the kernel can count: one clear sentence, and no cgroup stays (the fixture looks)."""
    with pytest.raises(SliceUnavailable, match=r"pids\.max|TasksMax|tasks"):
        async with Slice(run_id, tasks=2**40):
            pytest.fail("the slice was entered")


async def test_a_run_id_is_no_path() -> None:
    """What is not a run id cannot name a cgroup."""
    with pytest.raises(ValueError, match="not a run id"):
        Slice("../x")
