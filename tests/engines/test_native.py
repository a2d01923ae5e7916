"""The native engine beyond the contract: slices, limits, crashes, and what it must never kill."""

import errno
import os
import re
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from support.users import NOBODY, as_user

from density.engines.base import EngineContext
from density.engines.native import NativeEngine, processes
from density.engines.native.instances import failure_of
from density.engines.native.replies import Exited, Refused, Said, Spawned, parse_reply
from density.errors import EngineUnavailable, UsageError
from density.events import InstanceChanged
from density.host.processes import kill
from density.host.protection import VICTIMS_BADNESS
from density.model import Phase, Placement, Readiness, Workload, instance_name
from density.payload.channel import Channel

pytestmark = pytest.mark.anyio
MIB = 2**20
CGROUPS = Path("/sys/fs/cgroup")
PATIENCE = 30


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the payload is compiled, once."""
    return tmp_path_factory.mktemp("cache")


@contextmanager
def slice_of(controller: str, **limits: str) -> Iterator[Placement]:
    """A cgroup of our own with this controller, on whichever version; removed again."""
    unified = (CGROUPS / "cgroup.controllers").exists()
    if unified:
        with suppress(OSError):
            (CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
    group = (CGROUPS if unified else CGROUPS / controller) / f"density-test-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    try:
        for file, value in limits.items():
            (group / f"{controller}.{file}").write_text(value)
        yield Placement(docker_parents={}, libvirt_partition="", procs_files=(str(group / "cgroup.procs"),))
    finally:
        group.rmdir()


def memory_limit() -> str:
    """The name of a memory controller's limit, without the controller."""
    return "max" if (CGROUPS / "cgroup.controllers").exists() else "limit_in_bytes"


class Watched:
    """An engine, entered, and every change that it reported."""

    def __init__(self, engine: NativeEngine, channel: Channel, run_id: str) -> None:
        self.engine = engine
        self.channel = channel
        self.run_id = run_id
        self.changes: list[InstanceChanged] = []

    async def follow(self) -> None:
        """Collect until the engine is left."""
        async for change in self.engine.watch():
            self.changes.append(change)

    async def wait(self, instance_id: str, phase: Phase) -> InstanceChanged:
        """Wait for a change."""
        while True:
            for change in self.changes:
                if change.instance_id == instance_id and change.phase is phase:
                    return change
            await anyio.lowlevel.checkpoint()

    async def pid(self, instance_id: str) -> int:
        """The process of an instance."""
        found = {name: pid for pid, name in processes.find(self.run_id)}
        return found[instance_id]


@asynccontextmanager
async def native(cache: Path, directory: Path, placement: Placement | None = None) -> AsyncGenerator[Watched]:
    """A native engine in a run of its own, of which nothing is left."""
    run_id = f"t{uuid.uuid4().hex[:8]}"
    with anyio.fail_after(PATIENCE):
        async with Channel(directory / run_id) as channel, anyio.create_task_group() as group:
            context = EngineContext(
                run_id=run_id,
                runtime_dir=directory,
                data_dir=directory,
                cache_dir=cache,
                channel=channel,
                placement=placement,
            )
            async with NativeEngine(context) as engine:
                watched = Watched(engine, channel, run_id)
                group.start_soon(watched.follow)
                try:
                    yield watched
                finally:
                    with anyio.CancelScope(shield=True):
                        await engine.reap(run_id)
    assert list(processes.find(run_id)) == []


def workload(**values: object) -> Workload:
    """A native workload `w`."""
    return Workload(name="w", engine="native", **values)  # type: ignore[arg-type]  # fields by name


async def test_each_instance_is_a_process_that_answers(cache: Path, runtime_dir: Path) -> None:
    """Each has a process of its own with the memory that it was told to touch, answers pings, and is killed first."""
    async with native(cache, runtime_dir) as run:
        for number in (1, 2):
            await run.engine.launch(workload(touch_bytes=8 * MIB), instance_name("w", number))
        pids = {await run.pid("w-00001"), await run.pid("w-00002")}
        assert len(pids) == 2
        for pid in pids:
            status = await anyio.Path(f"/proc/{pid}/status").read_text()
            assert (await anyio.Path(f"/proc/{pid}/oom_score_adj").read_text()).strip() == str(VICTIMS_BADNESS)
            assert 8 * MIB <= 1024 * int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) < 9 * MIB
        assert 0 < await run.channel.ping("w-00001") < 1
        ready = await run.wait("w-00001", Phase.READY)
        assert ready.details == {"kernel": os.uname().release}


@pytest.mark.root
async def test_other_users_do_not_see_its_secret(cache: Path, runtime_dir: Path) -> None:
    """It is in the environment, which its own user alone can read, and not on the command line."""
    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(), "w-00001")
        process = Path(f"/proc/{await run.pid('w-00001')}")
        secret = run.channel._instances["w-00001"].secret
        assert process.joinpath("environ").read_text() == f"DENSITY_SECRET={secret}\0"
        assert as_user(NOBODY, (process / "environ").read_text) == "PermissionError"
        said = as_user(NOBODY, (process / "cmdline").read_text)
        assert "w-00001" in said
        assert secret not in said


async def test_without_descriptors_it_still_kills(
    cache: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none is left to be sure of a process by, the fork server kills its child, and its end is heard."""

    def out_of_descriptors(_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("density.engines.native.engine._GRACE_SECONDS", 0.1)
    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(), "w-00001")
        os.kill(await run.pid("w-00001"), signal.SIGSTOP)
        with monkeypatch.context() as short:
            short.setattr(os, "pidfd_open", out_of_descriptors)
            await run.engine.stop(["w-00001"])
        await run.wait("w-00001", Phase.REMOVED)
        assert [name for _, name in processes.find(run.run_id)] == ["server"]


async def test_out_of_descriptors_its_launch_fails(
    cache: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that cannot be accepted is a failure of that launch by its kind, and its process is gone."""
    async with native(cache, runtime_dir) as run:
        with monkeypatch.context() as short:

            async def hello(_: str) -> None:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

            short.setattr(run.channel, "hello", hello)
            await run.engine.launch(workload(), "w-00001")
        failed = await run.wait("w-00001", Phase.FAILED)
        assert failed.failure is not None
        assert failed.failure.kind == "too_many_files"
        await run.engine.launch(workload(), "w-00002")
        await run.wait("w-00002", Phase.READY)
        await run.engine.stop(["w-00001"])
        assert sorted(name for _, name in processes.find(run.run_id)) == ["server", "w-00002"]


async def test_processes_that_cannot_be_listed_are_not_taken_for_none(
    cache: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean-up that cannot look says so, instead of that nothing is left."""

    def out_of_descriptors(_: Path) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(), "w-00001")
        with monkeypatch.context() as short:
            short.setattr("density.engines.native.processes.command_lines", out_of_descriptors)
            with pytest.raises(EngineUnavailable, match="Too many open files"):
                await run.engine.reap(run.run_id)
        assert len((await run.engine.reap(run.run_id)).removed) == 1


async def test_a_reply_that_cannot_be_handled_ends_nothing(
    cache: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours while one instance's words are heard leaves the engine as it is for the others."""
    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(), "w-00001")
        with monkeypatch.context() as broken:
            broken.setattr(NativeEngine, "_ended", lambda *_: 1 / 0)
            os.kill(await run.pid("w-00001"), signal.SIGKILL)
            while run.channel.pingable("w-00001"):
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(0.05)
        await run.engine.launch(workload(), "w-00002")
        await run.wait("w-00002", Phase.READY)


@pytest.mark.root
async def test_the_slice_stops_forks(cache: Path, runtime_dir: Path) -> None:
    """The kernel enforces pids.max on every fork: the fourth instance beside the fork server fails, and says why."""
    with slice_of("pids", max="4") as placement:
        async with native(cache, runtime_dir, placement) as run:
            ids = [instance_name("w", number) for number in range(1, 6)]
            for instance_id in ids:
                await run.engine.launch(workload(), instance_id)
            for instance_id in ids[:3]:
                await run.wait(instance_id, Phase.READY)
            for instance_id in ids[3:]:
                failed = await run.wait(instance_id, Phase.FAILED)
                assert failed.failure is not None
                assert failed.failure.kind == "try_again"
                assert failed.failure.message == "fork: Resource temporarily unavailable"
            await run.engine.stop(ids[:1])
            await run.engine.launch(workload(), "w-00006")
            await run.wait("w-00006", Phase.READY)


@pytest.mark.root
async def test_the_slices_memory_kills(cache: Path, runtime_dir: Path) -> None:
    """An instance that the kernel kills for memory has failed as oom_killed; the fork server and the others live on."""
    with slice_of("memory", **{memory_limit(): str(24 * MIB)}) as placement:
        async with native(cache, runtime_dir, placement) as run:
            await run.engine.launch(workload(touch_bytes=2 * MIB), "w-00001")
            await run.engine.launch(workload(touch_bytes=64 * MIB), "w-00002")
            failed = await run.wait("w-00002", Phase.FAILED)
            assert failed.failure is not None
            assert failed.failure.kind == "oom_killed"
            os.kill(await run.pid("w-00001"), signal.SIGKILL)
            lost = await run.wait("w-00001", Phase.LOST)
            assert lost.failure is not None
            assert (lost.failure.kind, lost.failure.message) == ("exited", "ended by signal 9")
            await run.engine.launch(workload(), "w-00003")
            await run.wait("w-00003", Phase.READY)


async def test_a_slice_that_cannot_be_joined_is_told(cache: Path, runtime_dir: Path) -> None:
    """A cgroup that is not there makes the engine unavailable, in the system's words."""
    placement = Placement(docker_parents={}, libvirt_partition="", procs_files=("/sys/fs/cgroup/none/cgroup.procs",))
    async with Channel(runtime_dir / "c") as channel:
        context = EngineContext(
            run_id="r1",
            runtime_dir=runtime_dir,
            data_dir=runtime_dir,
            cache_dir=cache,
            channel=channel,
            placement=placement,
        )
        with pytest.raises(EngineUnavailable, match=os.strerror(errno.ENOENT)):
            async with NativeEngine(context):
                pytest.fail("entered")


async def test_a_stuck_instance_is_killed(cache: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not notice its closed channel is killed after a grace, and is then removed like the others."""
    monkeypatch.setattr("density.engines.native.engine._GRACE_SECONDS", 0.1)
    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(), "w-00001")
        os.kill(await run.pid("w-00001"), signal.SIGSTOP)
        await run.engine.stop(["w-00001"])
        await run.wait("w-00001", Phase.REMOVED)
        assert [name for _, name in processes.find(run.run_id)] == ["server"]


async def test_one_that_is_not_ready_in_time_is_gone(cache: Path, runtime_dir: Path) -> None:
    """A launch that takes too long has failed as timeout, and its process is killed."""
    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(touch_bytes=1024 * MIB, ready_timeout_seconds=0.02), "w-00001")
        failed = await run.wait("w-00001", Phase.FAILED)
        assert failed.failure is not None
        assert failed.failure.kind == "timeout"
        await run.engine.stop(["w-00001"])
        await run.wait("w-00001", Phase.REMOVED)
        assert (await run.engine.reap(run.run_id)).removed == ()


async def test_stopping_a_launch_ends_it(cache: Path, runtime_dir: Path) -> None:
    """An instance stopped before it is ready has failed as cancelled, and its launch comes back."""
    async with native(cache, runtime_dir) as run:
        async with anyio.create_task_group() as group:
            group.start_soon(run.engine.launch, workload(touch_bytes=1024 * MIB), "w-00001")
            await run.wait("w-00001", Phase.STARTED)
            before = anyio.current_time()
            await run.engine.stop(["w-00001"])
            assert anyio.current_time() - before < 2, "no grace for one that has no channel to notice"
        phases = [change.phase for change in run.changes]
        assert phases == [Phase.CREATED, Phase.STARTED, Phase.FAILED, Phase.STOPPING, Phase.REMOVED]


async def test_running_is_ready_at_once(cache: Path, runtime_dir: Path) -> None:
    """With readiness by `running`, an instance is ready when its process runs."""
    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(ready=Readiness("running")), "w-00001")
        ready = await run.wait("w-00001", Phase.READY)
        started = await run.wait("w-00001", Phase.STARTED)
        assert ready.at == started.at


async def test_what_it_cannot_run_is_refused(cache: Path, runtime_dir: Path) -> None:
    """Other images and other readiness are usage errors; limits that it has not are told."""
    async with native(cache, runtime_dir) as run:
        with pytest.raises(UsageError, match="tcp"):
            await run.engine.prepare(workload(ready=Readiness("tcp", "80")))
        assert (await run.engine.prepare(workload())).warnings == ()
        [warning] = (await run.engine.prepare(workload(memory_bytes=MIB, cpus=1))).warnings
        assert "memory, cpus" in warning


async def test_the_end_of_the_fork_server_is_the_engines(cache: Path, runtime_dir: Path) -> None:
    """Without its fork server the engine reports everything lost, kills it, and can launch no more."""
    async with native(cache, runtime_dir) as run:
        await run.engine.launch(workload(), "w-00001")
        assert run.engine._server is not None
        os.kill(run.engine._server.pid, signal.SIGKILL)
        lost = await run.wait("w-00001", Phase.LOST)
        assert lost.failure is not None
        assert lost.failure.kind == "engine"
        with pytest.raises(EngineUnavailable):
            await run.engine.launch(workload(), "w-00002")
        await run.engine.stop(["w-00001", "w-00002"])
        await run.wait("w-00001", Phase.REMOVED)


async def test_one_that_cannot_be_killed_hides_no_other(
    cache: Path, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of density's own while the fork server's children are ended: each is lost, and the engine goes on."""

    async def fault(*_: object) -> None:
        raise ValueError("not enough values to unpack")

    async with native(cache, runtime_dir) as run:
        for number in (1, 2):
            await run.engine.launch(workload(), f"w-0000{number}")
        with monkeypatch.context() as patched:
            patched.setattr(NativeEngine, "_kill", fault)
            assert run.engine._server is not None
            os.kill(run.engine._server.pid, signal.SIGKILL)
            for number in (1, 2):
                await run.wait(f"w-0000{number}", Phase.LOST)


_CONTROLLER = """
import sys, anyio
from pathlib import Path
from density.engines.base import EngineContext
from density.engines.native import NativeEngine
from density.model import Workload
from density.payload.channel import Channel

async def main():
    directory, cache, run_id = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    async with Channel(directory / "c") as channel:
        context = EngineContext(
            run_id=run_id, runtime_dir=directory, data_dir=directory, cache_dir=cache, channel=channel
        )
        async with NativeEngine(context) as engine:
            for number in range(10):
                await engine.launch(Workload(name="w", engine="native"), f"w-{number}")
            print("up", flush=True)
            await anyio.sleep_forever()

anyio.run(main)
"""


def test_a_killed_controller_leaves_nothing(cache: Path, runtime_dir: Path) -> None:
    """After kill -9 of a controller its fork server and its instances end by themselves."""
    run_id = f"t{uuid.uuid4().hex[:8]}"
    words = [sys.executable, "-c", _CONTROLLER, str(runtime_dir), str(cache), run_id]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == b"up\n"
        descriptors = [os.pidfd_open(pid) for pid, _ in processes.find(run_id)]
        controller.kill()
    assert len(descriptors) == 11
    for descriptor in descriptors:
        assert select.select([descriptor], [], [], 5)[0]
        os.close(descriptor)
    assert list(processes.find(run_id)) == []


def test_only_what_carries_the_mark_is_killed() -> None:
    """A process is never killed for its pid alone, nor for words that only look like ours."""
    with subprocess.Popen(["sleep", "60", "--run"], executable="/bin/sleep", stderr=subprocess.DEVNULL) as ended:
        ended.wait()
    with subprocess.Popen(["cat", "-", "density-native"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        assert not kill(other.pid, lambda words: processes.run_of(words) != "")
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait(5) >= 0
    assert not kill(2**22 + 1, lambda _: True)


@pytest.mark.parametrize(
    ("words", "run"),
    [
        (["density-native", "--id", "w-1", "--run", "r1"], "r1"),
        (["density-native", "--spawn", "--run", "r1"], "r1"),
        (["density-native", "--run"], ""),
        (["density-native"], ""),
        (["/payload", "--id", "w-1", "--run", "r1"], ""),
        (["vi", "density-native", "--run", "r1"], ""),
        ([""], ""),
    ],
)
def test_the_mark(words: list[str], run: str) -> None:
    """Processes of this engine are known by their first word and the run in their command line."""
    assert processes.run_of(words) == run


def test_a_process_that_is_being_loaded(tmp_path: Path) -> None:
    """It has no command line yet; neither has one that has ended, and that is another matter."""
    for pid, cmdline, state in ((1, "", "R"), (2, "", "Z"), (3, "density-native\0--run\0r\0", "S")):
        directory = tmp_path / str(pid)
        directory.mkdir()
        (directory / "cmdline").write_text(cmdline)
        (directory / "stat").write_text(f"{pid} (a) b) {state} 1 1")
    assert [processes.is_starting(pid, root=tmp_path) for pid in (1, 2, 3, 4)] == [True, False, False, False]


def test_failures_by_their_last_words() -> None:
    """The kind comes from the system's words where there are some, else from how the process ended."""
    no_memory = ("cannot have 9 bytes of memory: Cannot allocate memory",)
    unreachable = ("cannot reach the controller at /x: Connection refused",)
    assert failure_of(Exited(1, 71, 0), no_memory, oom_killed=False).kind == "no_memory"
    assert failure_of(Exited(1, 69, 0), unreachable, oom_killed=False).kind == "refused"
    assert failure_of(Exited(1, 0, 11), (), oom_killed=False).kind == "exited"
    assert failure_of(Exited(1, 0, 9), (), oom_killed=True).kind == "oom_killed"


def test_failures_say_how_it_ended() -> None:
    """Exit code or signal are there for a verdict, apart from the words."""
    exited, killed = (failure_of(each, (), oom_killed=False) for each in (Exited(1, 3, 0), Exited(1, 0, 11)))
    assert (exited.exit_code, exited.signal) == (3, "")
    assert (killed.exit_code, killed.signal) == (None, "SIGSEGV")


def test_replies() -> None:
    """Every line of the fork server, and an instance's words among them, are told apart."""
    assert parse_reply("spawned\tw-1\t42") == Spawned("w-1", 42)
    assert parse_reply("failed\tw-1\t11\tTry again") == Refused("w-1", "Try again")
    assert parse_reply("exited\t42\t0\t9") == Exited(42, 0, 9)
    assert parse_reply("exited\tx\t0\t9") == Said("exited\tx\t0\t9", "")
    assert parse_reply("w-1: cannot: reach") == Said("w-1", "cannot: reach")
