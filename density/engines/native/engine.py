"""Instances as plain processes, forked inside the run's slice."""

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self, TypeVar

import anyio

from density.ceilings.errors import classify
from density.engines.base import EngineContext
from density.engines.changes import Changes
from density.engines.native.instances import Instance, failure_of, may_be_oom
from density.engines.native.processes import find, is_starting, name_of, run_of
from density.engines.native.replies import Exited, Refused, Reply, Said, Spawned
from density.engines.native.server import ForkServer, fork_server
from density.engines.oom import OomKills
from density.errors import EngineUnavailable, UsageError
from density.events import InstanceChanged
from density.host import processes
from density.log import logger
from density.model import RUN_ID, EngineInfo, EngineName, Failure, Labelled, Phase, Prepared, Reaped, Workload
from density.payload.arguments import payload_arguments
from density.payload.background import background
from density.payload.build import payload_binary
from density.payload.channel import ChannelClosed
from density.threads import in_thread
from density.units import format_seconds

log = logger(__name__)
_GRACE_SECONDS = 5.0
"""The fork server may just have begun a process when we look."""
_GONE = "the fork server ended"
Found = TypeVar("Found")
_UNREADABLE = "the host's processes cannot be listed"


class NativeEngine:
    """The baseline: what an instance costs without a container or a VM around it."""

    name: EngineName = "native"

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._channel = context.channel
        self._procs_files = context.placement.procs_files if context.placement else ()
        self._oom_kills = OomKills(context.placement)
        self._instances: dict[str, Instance] = {}
        self._by_pid: dict[int, Instance] = {}
        self._server: ForkServer | None = None
        self._changes = Changes()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        binary = await payload_binary(self._context.cache_dir)
        run_id, procs_files = self._context.run_id, self._procs_files
        async with AsyncExitStack() as stack:
            stack.callback(self._changes.close)
            server = fork_server(binary, run_id=run_id, procs_files=procs_files)
            self._server = await stack.enter_async_context(server)
            await stack.enter_async_context(background(self._listen, self._guard))
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.__aexit__(kind, error, trace)

    async def describe(self) -> EngineInfo:
        """The kernel's release; the fork server is inside the slice and so no daemon to watch."""
        found = await self._processes(self._context.run_id)
        running = tuple(name for name in found.values() if name != "server")
        return EngineInfo(name=self.name, version=os.uname().release, endpoint="fork", running=running)

    async def check(self, workload: Workload) -> None:
        """Check that the workload is one for plain processes; needs no fork server, so it works before entering too."""
        if workload.image != "payload":
            raise UsageError(f"{workload.name}: the native engine runs the payload only, not {workload.image}")
        if workload.ready.by not in {"payload", "running"}:
            raise UsageError(
                f"{workload.name}: a native instance is ready by payload or running, not {workload.ready.by}"
            )

    async def prepare(self, workload: Workload) -> Prepared:
        """Check the workload; the payload was made on entering."""
        await self.check(workload)
        given = {"memory": workload.memory_bytes, "cpus": workload.cpus}
        ignored = [word for word, value in given.items() if value]
        warning = f"{workload.name}: a native instance has no limit of its own: {', '.join(ignored)} not applied"
        return Prepared(warnings=(warning,) if ignored else ())

    async def launch(self, workload: Workload, instance_id: str) -> None:
        """Fork one instance and come back when it is ready or has failed.

        Raises:
            EngineUnavailable: the fork server is gone.
            ValueError: there is such an instance already.
        """
        secret = self._channel.expect(instance_id)
        instance = self._instances[instance_id] = Instance(instance_id, workload)
        try:
            with anyio.fail_after(workload.ready_timeout_seconds):
                await self._command("spawn", instance_id, secret, *self._words(instance))
                await instance.answered.wait()
                if instance.refused:
                    self._fail(instance, Failure(classify(instance.refused), f"fork: {instance.refused}"))
                elif workload.ready.by == "running":
                    self._ready(instance, instance.changed_at)
                else:
                    hello = await self._channel.hello(instance_id)
                    self._ready(instance, hello.at, kernel=hello.kernel)
        except TimeoutError:
            seconds = format_seconds(workload.ready_timeout_seconds)
            waited = f"not ready ({workload.ready.by}) within {seconds}: waited for its payload to say ready"
            self._fail(instance, Failure("timeout", waited, tuple(instance.said)))
            await self._kill(instance)
        except OSError as error:
            self._fail(instance, Failure(classify(str(error)), f"its connection cannot be accepted: {error}"))
            await self._kill(instance)
        except ChannelClosed:
            pass  # Ended or stopped before it was ready; whoever found out has said so.
        except EngineUnavailable:
            self._forget(instance)
            raise

    def watch(self) -> AsyncGenerator[InstanceChanged]:
        """Every change of every instance, in order, until the engine is left; for one consumer."""
        return self._changes.read()

    async def stop(self, instance_ids: Sequence[str]) -> None:
        """Let these instances exit by themselves, kill those that do not, and report stopping and removed."""
        known = [self._instances[name] for name in dict.fromkeys(instance_ids) if name in self._instances]
        for instance in known:
            if instance.state == "launching":
                # Still touching memory, perhaps: it has no channel yet that could be closed.
                await self._kill(instance)
                self._fail(instance, Failure("cancelled", "stopped before it was ready"))
            if instance.state != "stopping":  # else it did not go the last time
                instance.state = "stopping"
                self._changes.report(instance, Phase.STOPPING)
        await self._channel.dismiss(instance_ids)
        if not await _all_ended(known):
            for instance in known:
                await self._kill(instance)
            await _all_ended(known)
        for instance in known:
            if instance.pid is None or instance.gone.is_set():
                self._changes.report(instance, Phase.REMOVED)
                self._forget(instance)

    async def labelled(self) -> tuple[Labelled, ...]:
        """Every process with the mark of a whole run id; all of them run."""
        found = await self._listed(lambda: list(processes.command_lines()))
        marked = ((f"process {pid} ({name_of(words)})", run_of(words)) for pid, words in found)
        return tuple(Labelled(name, run_id, running=True) for name, run_id in marked if RUN_ID.fullmatch(run_id))

    async def reap(self, run_id: str) -> Reaped:
        """Kill every process with the mark of this run, but for this engine's own fork server."""

        async def doomed() -> dict[int, str]:
            found = await self._find(run_id)
            for instance in self._instances.values():
                if instance.pid in found and instance.state == "ready":
                    instance.state = "stopping"
            return found

        seen, left = await processes.end_all(
            doomed, lambda words: run_of(words) == run_id, grace_seconds=_GRACE_SECONDS
        )
        return Reaped(
            removed=tuple(name for pid, name in seen.items() if pid not in left),
            left=tuple(left.values()),
        )

    async def _find(self, run_id: str) -> dict[int, str]:
        own = self._server.pid if self._server else None
        found = await self._processes(run_id)
        if run_id == self._context.run_id:
            # One that the kernel is just about to run has no command line yet to be found by.
            found |= {pid: each.instance_id for pid, each in self._by_pid.items() if is_starting(pid)}
        return {pid: f"process {pid} ({name})" for pid, name in found.items() if pid != own}

    async def _processes(self, run_id: str) -> dict[int, str]:
        return await self._listed(lambda: dict(find(run_id)))

    async def _listed(self, look: Callable[[], Found]) -> Found:
        try:
            return await in_thread(look)
        except OSError as error:
            raise EngineUnavailable(self.name, f"{_UNREADABLE}: {error}") from error

    async def _command(self, *words: str) -> None:
        if self._server is None:
            raise EngineUnavailable(self.name, _GONE)
        await self._server.command(*words)

    def _words(self, instance: Instance) -> list[str]:
        controller = ("--socket", str(self._channel.socket_path))
        words = payload_arguments(instance.workload, instance.instance_id, self._context.run_id, *controller)
        return [processes.NATIVE, *words]

    async def _listen(self) -> None:
        assert self._server is not None
        async for replies in self._server.replies():
            for reply in replies:
                try:
                    await self._heard(reply)
                except Exception:
                    log.exception("reply of the fork server not handled", reply=reply)

    async def _guard(self) -> None:
        assert self._server is not None
        await processes.wait_for_end(self._server.pid)
        self._server = None
        for instance in list(self._instances.values()):
            try:
                await self._kill(instance)
            except Exception:
                log.exception("not killed", instance=instance.instance_id)
            if not instance.answered.is_set():
                instance.refused = _GONE
                instance.answered.set()
            elif instance.state == "launching":
                self._fail(instance, Failure("engine", _GONE))
            elif instance.state == "ready":
                self._lose(instance, Failure("engine", _GONE))
            instance.gone.set()
        await self._channel.dismiss(list(self._instances))

    async def _heard(self, reply: Reply) -> None:
        match reply:
            case Spawned(instance_id=name, pid=pid):
                if instance := self._instances.get(name):
                    await self._spawned(instance, pid)
            case Refused(instance_id=name, message=message):
                if instance := self._instances.get(name):
                    instance.refused = message
                    instance.answered.set()
            case Exited(pid=pid):
                if instance := self._by_pid.pop(pid, None):
                    self._ended(instance, reply)
                    await self._channel.dismiss([instance.instance_id])
            case Said(instance_id=name, text=text):
                if instance := self._instances.get(name):
                    instance.said.append(text)

    async def _spawned(self, instance: Instance, pid: int) -> None:
        instance.pid = pid
        self._by_pid[pid] = instance
        instance.answered.set()
        if instance.state == "launching":
            instance.changed_at = anyio.current_time()
            self._changes.report(instance, Phase.CREATED)
            self._changes.report(instance, Phase.STARTED)
        else:
            await self._kill(instance)

    def _ended(self, instance: Instance, exited: Exited) -> None:
        instance.gone.set()
        if instance.state in {"launching", "ready"}:
            oom_killed = may_be_oom(exited) and self._oom_kills.spend()
            failure = failure_of(exited, tuple(instance.said), oom_killed=oom_killed)
            self._fail(instance, failure)
            self._lose(instance, failure)

    def _ready(self, instance: Instance, at: float, **details: str) -> None:
        if instance.state == "launching":
            instance.state = "ready"
            self._changes.report(instance, Phase.READY, at=at, details=details)

    def _fail(self, instance: Instance, failure: Failure) -> None:
        if instance.state == "launching":
            instance.state = "over"
            self._changes.report(instance, Phase.FAILED, failure=failure)

    def _lose(self, instance: Instance, failure: Failure) -> None:
        if instance.state == "ready":
            instance.state = "over"
            self._changes.report(instance, Phase.LOST, failure=failure)

    async def _kill(self, instance: Instance) -> None:
        if instance.pid is None or instance.gone.is_set():
            return
        try:
            processes.kill(instance.pid, lambda words: run_of(words) == self._context.run_id)
        except OSError:
            # No descriptor left to be sure of the process by; the fork server, whose child it is, needs none.
            with suppress(EngineUnavailable):
                await self._command("kill", str(instance.pid))

    def _forget(self, instance: Instance) -> None:
        self._channel.forget(instance.instance_id)
        del self._instances[instance.instance_id]


async def _all_ended(instances: Sequence[Instance]) -> bool:
    with anyio.move_on_after(_GRACE_SECONDS) as scope:
        for instance in instances:
            await instance.ended()
    return not scope.cancelled_caught
