"""A libvirtd that stops answering, or takes nobody in: density gives it up and says so, and does not hang with it."""

import errno
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import anyio
import libvirt
import pytest
from engines.contract import context_in
from engines.test_libvirt_engine import BARE, NULL, PAYLOAD, SILENT, break_connections, opened, pid_of, running, watched
from support.libvirtd import libvirtd

from density.engines.libvirt import LibvirtEngine, connections, engine, lifecycle, reaping
from density.engines.libvirt.canary import TCG
from density.engines.libvirt.instance import Instance
from density.engines.libvirt.machine import Machine
from density.engines.libvirt.news import Heard
from density.errors import EngineUnavailable
from density.host.processes import command_lines, domain_behind
from density.host.slice_directories import remove_directories
from density.model import Phase, Placement, object_name
from density.payload.guests import Guest

pytestmark = [pytest.mark.anyio, pytest.mark.libvirt, pytest.mark.root]


async def test_a_daemon_that_takes_no_more_clients_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a daemon short of clients would be shorter by each try."""
    opened: list[Mock] = []

    def connect(_: str) -> Mock:
        if len(opened) == 2:
            raise EngineUnavailable("libvirt", "too many active clients")
        opened.append(Mock())
        return opened[-1]

    monkeypatch.setattr(connections, "connect", connect)
    with pytest.raises(EngineUnavailable, match="too many"):
        await connections.Connections("").open()
    assert [one.close.call_count for one in opened] == [1, 1]


async def test_connecting_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal while a libvirtd takes nobody in: nobody waits for it, and no connection stays."""
    asked, go = threading.Event(), threading.Event()

    def connect(_: str) -> Mock:
        asked.set()
        go.wait(30)
        return Mock()

    monkeypatch.setattr(connections, "connect", connect)
    found = connections.Connections("")
    try:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(found.open)
                await anyio.to_thread.run_sync(asked.wait)
                group.cancel_scope.cancel()
    finally:
        go.set()
    assert found._slots == []


async def test_a_daemon_that_hangs_is_given_up(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call has its time, every other one and leaving the engine take none; the way out is named."""
    monkeypatch.setattr(connections, "CALL_SECONDS", 1.0)
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.5)
    with libvirtd(runtime_dir) as uri:
        pid = int((runtime_dir / "libvirtd.pid").read_text())
        try:
            with anyio.fail_after(10):
                async with context_in(runtime_dir) as context, LibvirtEngine(context, uri=uri) as engine:
                    os.kill(pid, signal.SIGSTOP)
                    with pytest.raises(EngineUnavailable, match=r"not answered for 1 s.*restart libvirtd"):
                        await engine.describe()
                    began = anyio.current_time()
                    with pytest.raises(EngineUnavailable):
                        await engine.reap(context.run_id)
                    assert anyio.current_time() - began < 1.5
        finally:
            os.kill(pid, signal.SIGCONT)


def ready_to_launch(entered: LibvirtEngine) -> None:
    """As if NULL had been prepared, which would ask the daemon."""
    guest = Guest(name="null", memory_bytes=2**24)
    entered._machines[NULL.name] = Machine(workload=NULL, guest=guest, accelerator=TCG, ready=NULL.ready)


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGSTOP, "timeout"), (signal.SIGKILL, "refused")])
async def test_a_launch_without_a_daemon(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, kind: str
) -> None:
    """A daemon that hangs or is gone is the engine's failure: that launch has failed by it, and the engine is over."""
    monkeypatch.setattr(connections, "CALL_SECONDS", 1.0)
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(connections, "GONE_SECONDS", 0.1)
    with libvirtd(runtime_dir) as uri:
        pid = int((runtime_dir / "libvirtd.pid").read_text())
        async with context_in(runtime_dir) as context, watched(context, uri) as session:
            assert isinstance(session.engine, LibvirtEngine)
            ready_to_launch(session.engine)
            try:
                os.kill(pid, number)
                with pytest.raises(EngineUnavailable):
                    await session.engine.launch(NULL, "n-00001")
            finally:
                os.kill(pid, signal.SIGCONT)
            failed = await session.until("n-00001", Phase.FAILED)
            assert failed.failure is not None
            assert failed.failure.kind == kind


async def test_a_daemon_that_comes_back_is_asked_again(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stood still for longer than a call may take, and goes on: what it holds is removed all the same."""
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 2.0)
    with libvirtd(runtime_dir) as uri:
        pid = int((runtime_dir / "libvirtd.pid").read_text())
        async with context_in(runtime_dir) as context, running(context, uri) as session:
            [instance_id] = await session.launch(NULL)
            try:
                os.kill(pid, signal.SIGSTOP)
                with monkeypatch.context() as short:
                    short.setattr(connections, "CALL_SECONDS", 1.0)
                    with pytest.raises(EngineUnavailable):
                        await session.engine.describe()
            finally:
                os.kill(pid, signal.SIGCONT)
            await anyio.sleep(connections.ANSWER_SECONDS)
            assert (await session.engine.describe()).running == (instance_id,)
            await session.engine.stop([instance_id])
            await session.until(instance_id, Phase.REMOVED)


async def test_a_call_that_hangs_alone_ends_no_engine(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the daemon takes others' calls, it is what the call is about that hangs: a failure of that launch."""
    monkeypatch.setattr(connections, "CALL_SECONDS", 0.3)
    async with opened(runtime_dir, "test:///default") as session:
        [first] = await session.launch(BARE)
        released = threading.Event()
        with monkeypatch.context() as stuck:
            stuck.setattr(lifecycle._Creation, "__call__", lambda *_: released.wait(30))
            await session.engine.launch(BARE, "b-00002")
        released.set()
        failed = await session.until("b-00002", Phase.FAILED)
        assert failed.failure is not None
        assert failed.failure.kind == "timeout"
        assert (await session.engine.describe()).running == (first,)


@pytest.mark.parametrize("step", ["enter", "ask", "create", "leave"])
async def test_whoever_gives_up_does_not_wait_for_a_daemon_that_hangs(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A signal ends every call at once, but one that makes something, which has a few seconds to say what it made."""
    monkeypatch.setattr(lifecycle, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.5)
    with libvirtd(runtime_dir) as uri:
        pid = int((runtime_dir / "libvirtd.pid").read_text())
        try:
            async with context_in(runtime_dir) as context:
                engine = LibvirtEngine(context, uri=uri)
                if step == "enter":
                    os.kill(pid, signal.SIGSTOP)
                    assert await seconds_until_given_up(engine.__aenter__) < 0.5
                    return
                await engine.__aenter__()
                os.kill(pid, signal.SIGSTOP)
                if step == "ask":
                    assert await seconds_until_given_up(engine.describe) < 0.5
                elif step == "create":
                    ready_to_launch(engine)
                    seconds = await seconds_until_given_up(lambda: engine.launch(NULL, "n-00001"))
                    assert 0.4 < seconds < 1.5
                began = anyio.current_time()
                await engine.__aexit__(None, None, None)
                assert anyio.current_time() - began < 2.0
        finally:
            os.kill(pid, signal.SIGCONT)


async def seconds_until_given_up(work: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """How long something goes on that is cancelled after a moment in which it has come to wait."""
    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await anyio.sleep(0.5)
        began = anyio.current_time()
        group.cancel_scope.cancel()
    return anyio.current_time() - began


async def test_what_runs_ends_without_a_daemon(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A libvirtd that is gone for good leaves no VM behind that runs: each is ended as a process, and is removed."""
    monkeypatch.setattr(connections, "GONE_SECONDS", 0.2)
    with libvirtd(runtime_dir) as uri:
        pid = int((runtime_dir / "libvirtd.pid").read_text())
        async with context_in(runtime_dir) as context, watched(context, uri) as session:
            ids = await session.launch(NULL, 3)
            os.kill(pid, signal.SIGKILL)
            await session.engine.stop(ids[:1])
            await session.until(ids[0], Phase.REMOVED)
            assert domains_running(context.run_id) == 2
            await session.engine.stop(ids)
            for instance_id in ids:
                await session.until(instance_id, Phase.REMOVED)
            assert domains_running(context.run_id) == 0
            with pytest.raises(EngineUnavailable):
                await session.engine.reap(context.run_id)
    remove_cgroups(context.run_id)


def remove_cgroups(run_id: str) -> None:
    """Those of a run's domains are libvirt's, which is gone."""
    cgroups = list(Path("/sys/fs/cgroup").glob(f"*/machine/qemu-*-{object_name(run_id, '')}*"))
    assert remove_directories(cgroups) == []


def domains_running(run_id: str) -> int:
    """How many processes there are of a run's domains, whoever started them."""
    return sum(domain_behind(words).startswith(object_name(run_id, "")) for _, words in command_lines())


@pytest.mark.parametrize("step", ["launching", "ready", "unheard"])
async def test_a_vm_that_someone_pauses_is_lost(runtime_dir: Path, step: str) -> None:
    """It stands still, so that it is none that runs: lost with the reason, or failed while it starts."""
    async with opened(runtime_dir) as session:
        workload = SILENT if step == "launching" else NULL
        await session.prepare(workload)
        async with anyio.create_task_group() as group:
            group.start_soon(session.engine.launch, workload, "n-00001")
            await session.until("n-00001", Phase.STARTED if step == "launching" else Phase.READY)
            if step == "unheard":
                assert break_connections() > 1
            domain = connection_of("qemu:///system").lookupByName(object_name(session.context.run_id, "n-00001"))
            domain.suspend()
        change = await session.until("n-00001", Phase.FAILED if step == "launching" else Phase.LOST)
        assert change.failure is not None
        assert change.failure.kind == "paused"


async def test_a_vm_that_someone_defines_is_undefined(runtime_dir: Path) -> None:
    """Else it would stay in libvirt's list for ever, though nothing of it runs."""
    async with opened(runtime_dir) as session:
        [instance_id] = await session.launch(NULL)
        connection = connection_of("qemu:///system")
        name = object_name(session.context.run_id, instance_id)
        connection.defineXML(connection.lookupByName(name).XMLDesc())
        await session.engine.stop([instance_id])
        await session.until(instance_id, Phase.REMOVED)
        with pytest.raises(libvirt.libvirtError, match="Domain not found"):
            connection.lookupByName(name)


@pytest.mark.parametrize("how", ["destroy", "kill"])
async def test_what_others_do_to_a_vm(runtime_dir: Path, how: str) -> None:
    """Each end is the loss of that one instance, once, with its reason; the others go on."""
    async with opened(runtime_dir) as session:
        first, second = await session.launch(PAYLOAD, 2)
        domain = connection_of("qemu:///system").lookupByName(object_name(session.context.run_id, first))
        if how == "kill":
            os.kill(pid_of(session, first), signal.SIGKILL)
        else:
            getattr(domain, how)()
        lost = await session.until(first, Phase.LOST)
        assert lost.failure is not None
        assert lost.failure.kind == "exited"
        assert session.phases(first).count(Phase.LOST) == 1
        assert session.phases(second)[-1] is Phase.READY
        assert (await session.engine.describe()).running == (second,)


def connection_of(uri: str) -> libvirt.virConnect:
    """As another user of libvirt has one."""
    return libvirt.open(uri)


async def test_what_does_not_go_at_once_is_stopped_in_the_end(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A domain that libvirt cannot end yet is asked to again, and only what is gone is reported as removed."""
    real, refused = lifecycle.destroy, iter([True, True, False])

    def destroy(connection: libvirt.virConnect, name: str) -> None:
        if next(refused):
            raise libvirt.libvirtError("Failed to terminate process 1 with SIGKILL: Device or resource busy")
        real(connection, name)

    monkeypatch.setattr(lifecycle, "_PAUSE_SECONDS", 0.01)
    async with opened(runtime_dir, "test:///default") as session:
        [instance_id] = await session.launch(BARE)
        with monkeypatch.context() as stuck:
            stuck.setattr(lifecycle, "destroy", destroy)
            await session.engine.stop([instance_id])
        await session.until(instance_id, Phase.REMOVED)
        assert (await session.engine.describe()).running == ()


async def test_out_of_descriptors_no_instance_stays_outside_of_the_slice(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its process cannot be put into the slice, its launch has failed; one that has ended is no failure."""
    reasons = iter([OSError(errno.EMFILE, "Too many open files"), ProcessLookupError(errno.ESRCH, "No such process")])

    def place(*_: object) -> None:
        raise next(reasons)

    monkeypatch.setattr(lifecycle, "place", place)
    monkeypatch.setattr(lifecycle, "_processes", lambda _: iter([0]))
    placement = Placement(docker_parents={}, libvirt_partition="", procs_files=("/nowhere",))
    async with (
        context_in(runtime_dir) as context,
        running(replace(context, placement=placement), "test:///default") as session,
    ):
        first, second = session.new_id(BARE), session.new_id(BARE)
        for instance_id in (first, second):
            await session.engine.launch(BARE, instance_id)
        failed = await session.until(first, Phase.FAILED)
        assert failed.failure is not None
        assert failed.failure.kind == "too_many_files"
        await session.until(second, Phase.READY)
        assert (await session.engine.describe()).running == (second,)


async def test_files_are_removed_beside_the_event_loop(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large overlay takes its file system a while, in which everything else goes on."""
    threads: list[threading.Thread] = []
    monkeypatch.setattr(lifecycle, "remove_files", lambda *_: threads.append(threading.current_thread()))
    async with opened(runtime_dir, "test:///default") as session:
        await session.engine.stop(await session.launch(BARE))
    assert threads
    assert threading.main_thread() not in threads


async def test_what_was_made_while_libvirt_was_looked_through_is_not_lost(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a connection broke, only what was there before the list was asked for can be missed on it."""
    listed, made = anyio.Event(), threading.Event()
    real = reaping.standing

    def standing(connection: libvirt.virConnect) -> tuple[set[str], set[str]]:
        found = real(connection)
        anyio.from_thread.run_sync(listed.set)
        made.wait(timeout=30)
        return found

    monkeypatch.setattr(reaping, "standing", standing)
    async with opened(runtime_dir) as session:
        await session.prepare(NULL)
        assert break_connections() > 1
        await listed.wait()
        [instance_id] = await session.launch(NULL)
        made.set()
        await anyio.sleep(0.5)
        assert session.phases(instance_id)[-1] is Phase.READY


async def test_news_that_cannot_be_handled_end_no_run(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours while the end of one domain is heard leaves the engine hearing of the others."""
    real = engine.LibvirtEngine._hear

    def hear(self: LibvirtEngine, instance: Instance, heard: Heard, group: anyio.abc.TaskGroup) -> None:
        if instance.instance_id == "b-00001":
            raise RuntimeError("a fault")
        real(self, instance, heard, group)

    monkeypatch.setattr(engine.LibvirtEngine, "_hear", hear)
    async with opened(runtime_dir, "test:///default") as session:
        first, second = await session.launch(BARE, 2)
        connection = libvirt.open("test:///default")
        for instance_id in (first, second):
            connection.lookupByName(f"density-{session.context.run_id}-{instance_id}").destroy()
        connection.close()
        await session.until(second, Phase.LOST)
        assert session.phases(first)[-1] is Phase.READY
