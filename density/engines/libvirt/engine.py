"""Virtual machines by libvirt as an engine."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

import anyio
import libvirt

from density.engines.base import EngineContext
from density.engines.changes import Changes
from density.engines.libvirt import containers, reaping, staging
from density.engines.libvirt.connections import REFUSALS, Connections, NoAnswer, words
from density.engines.libvirt.hypervisor import engine_info
from density.engines.libvirt.instance import (
    Instance,
    creation_failure,
    ending_failure,
    guest_limits,
    may_be_oom,
    not_ready,
)
from density.engines.libvirt.lifecycle import Lifecycle
from density.engines.libvirt.machine import Machine
from density.engines.libvirt.news import Heard, News
from density.engines.libvirt.preparing import Preparer
from density.engines.libvirt.readiness import Ready, Waiter
from density.engines.oom import OomKills
from density.engines.own_limits import SliceUse
from density.errors import EngineUnavailable
from density.events import InstanceChanged
from density.host.placing import SliceFull
from density.log import logger
from density.model import EngineInfo, EngineName, Failure, Labelled, Phase, Prepared, Reaped, Workload, object_name
from density.payload.background import background
from density.payload.guests import memory_bytes
from density.threads import in_thread

log = logger(__name__)
FAREWELL_SECONDS = 3.0
"""Payloads that were told to go have this long together before their domains are destroyed."""


class LibvirtEngine:
    """VMs of one libvirt; see `density.engines.base.Engine` for the contract.

    Calls run in worker threads over a few connections; one more connection hears of domains that end, so nothing is
    asked per instance while it just runs.
    """

    name: EngineName = "libvirt"

    def __init__(self, context: EngineContext, *, uri: str = "qemu:///system") -> None:
        """`uri`: such as `qemu:///system`, or `test:///default` for libvirt's own in-process hypervisor."""
        self._context = context
        self._connections = Connections(uri)
        self._lifecycle = Lifecycle(self._connections, context)
        self._waiter = Waiter(self._connections, context.channel)
        self._slice_use = SliceUse(context.placement)
        self._preparer = Preparer(self._connections, context, self._lifecycle, self._waiter, killer=self._killer)
        self._oom_kills = OomKills(context.placement)
        self._instances: dict[str, Instance] = {}
        self._machines: dict[str, Machine] = {}
        self._changes = Changes()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self._changes.close)
            stack.callback(staging.unstage, self._context.data_dir)
            stack.callback(containers.remove_root, self._context.data_dir)
            stack.push_async_callback(self._connections.close)
            await self._connections.open()
            self._news = News(self._connections)
            stack.push_async_callback(self._news.close)
            await self._news.open()
            await stack.enter_async_context(background(self._listen))
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.__aexit__(kind, error, trace)

    async def describe(self) -> EngineInfo:
        """Versions of libvirt and QEMU, the daemons, the limits in libvirt's configuration where they can be read."""
        try:
            info = await self._connections.call(lambda connection: engine_info(connection, self._connections.uri))
            found = await self._connections.call(lambda connection: reaping.find(connection, self._context.run_id))
        except REFUSALS as error:
            raise EngineUnavailable(self.name, words(error)) from error
        return replace(info, running=tuple(mark.instance_id for mark in found.values()))

    async def check(self, workload: Workload) -> None:
        """Look at the network, its bridge, the disk image and the images below it; boots nothing."""
        try:
            await self._preparer.check(workload)
        except REFUSALS as error:
            raise EngineUnavailable(self.name, words(error)) from error

    async def prepare(self, workload: Workload) -> Prepared:
        """Get the guest, look at the network, and boot a canary: which accelerator works is found out by that alone."""
        try:
            self._machines[workload.name], prepared = await self._preparer.prepare(workload)
        except REFUSALS as error:
            raise EngineUnavailable(self.name, words(error)) from error
        return prepared

    async def launch(self, workload: Workload, instance_id: str) -> None:
        """Make one transient domain and come back when it is ready or has failed."""
        if workload.name not in self._machines:
            await self.prepare(workload)
        instance = Instance(instance_id, object_name(self._context.run_id, instance_id), workload)
        self._instances[instance_id] = instance
        deadline = anyio.current_time() + workload.ready_timeout_seconds
        try:
            failure = await self._bring_up(instance, self._machines[workload.name], deadline)
        except EngineUnavailable as gone:
            if instance.is_alive:
                kind = "timeout" if self._connections.hangs else "refused"
                self._change(instance, Phase.FAILED, failure=Failure(kind, gone.reason))
            raise
        except Exception:
            await self._drop(instance)  # whatever it was, it is no reason to leave a domain that nobody waits for
            raise
        if failure is not None:
            self._change(instance, Phase.FAILED, failure=failure)
            await self._drop(instance)

    def watch(self) -> AsyncGenerator[InstanceChanged]:
        """Every change of every instance, in order, until the engine is left; for one consumer."""
        return self._changes.read()

    async def stop(self, instance_ids: Sequence[str]) -> None:
        """Tell payloads to go, then destroy what has not gone."""
        known = (self._instances.get(instance_id) for instance_id in dict.fromkeys(instance_ids))
        leaving = [each for each in known if each is not None and (each.is_alive or each.phase is Phase.STOPPING)]
        for instance in leaving:
            if instance.phase is Phase.STOPPING:
                continue  # it did not go the last time
            if instance.phase is not Phase.READY:
                self._change(instance, Phase.FAILED, failure=Failure("cancelled", "stopped before it was ready"))
            self._change(instance, Phase.STOPPING)
            instance.launching.cancel()
        channel = self._context.channel
        able = [instance for instance in leaving if channel.pingable(instance.instance_id)]
        await channel.dismiss([instance.instance_id for instance in able])
        with anyio.move_on_after(FAREWELL_SECONDS):
            for instance in able:
                await instance.ended.wait()
        async with anyio.create_task_group() as group:
            for instance in leaving:
                group.start_soon(self._stop_one, instance)
        if leaving and self._connections.is_lost:
            await self._end_processes(leaving)

    async def labelled(self) -> tuple[Labelled, ...]:
        """Domains with density's mark in their metadata."""
        try:
            return await self._connections.call(reaping.labelled)
        except REFUSALS as error:
            raise EngineUnavailable(self.name, words(error)) from error

    async def reap(self, run_id: str) -> Reaped:
        """Remove by metadata, look again, and again where something appeared late or would not go."""
        seen: set[str] = set()
        try:
            found = await self._connections.call(lambda connection: reaping.find(connection, run_id))
            for _ in range(reaping.ATTEMPTS):
                if not found:
                    break
                seen |= found.keys()
                await self.stop([mark.instance_id for mark in found.values() if mark.run_id == self._context.run_id])
                await reaping.destroy_all(self._connections, found, self._context.data_of)
                found = await self._connections.call(lambda connection: reaping.find(connection, run_id))
        except REFUSALS as error:
            raise EngineUnavailable(self.name, words(error)) from error
        except EngineUnavailable:
            if run_id == self._context.run_id:
                prefix = object_name(run_id, "")
                await reaping.end_processes(lambda name: name.startswith(prefix))
            raise
        files, kept = await in_thread(reaping.remove_traces, run_id, found.keys())
        return Reaped(removed=tuple(sorted(seen - found.keys())), left=(*sorted(found), *kept), files=files)

    async def _bring_up(self, instance: Instance, machine: Machine, deadline: float) -> Failure | None:
        try:
            await self._lifecycle.create(instance, machine)
            if not instance.is_alive:
                return None  # stopped meanwhile, by someone who waits to destroy it
            self._change(instance, Phase.CREATED)
            self._change(instance, Phase.STARTED)
            return await self._await_ready(instance, machine, deadline)
        except SliceFull as full:
            return Failure("try_again", str(full)) if instance.is_alive else None
        except (libvirt.libvirtError, OSError) as error:
            if not instance.is_alive:
                return None
            said = self._lifecycle.console(instance)
            if isinstance(error, NoAnswer):
                return Failure("timeout", words(error), said)
            return creation_failure(words(error), said, container=instance.is_container)

    async def _await_ready(self, instance: Instance, machine: Machine, deadline: float) -> Failure | None:
        ready: Ready | None = None
        with anyio.CancelScope(deadline=deadline) as instance.launching:
            if not instance.ended.is_set():
                ready = await self._waiter.wait(instance, machine.ready)
        if not instance.is_alive:
            return None
        if instance.ended.is_set():
            return self._how_it_ended(instance)
        if ready is None:
            self._waiter.sum_up(instance, machine.ready)
            console = self._lifecycle.console(instance)
            own = () if instance.is_container else guest_limits(console, memory_bytes(instance.workload))
            return not_ready(instance, console, own)
        at, details = ready
        # A guest may say that it is ready before libvirt has come back from starting it.
        self._change(instance, Phase.READY, at=max(at, instance.changed_at), details=details)
        return None

    async def _stop_one(self, instance: Instance) -> None:
        # Before libvirt has answered there may be nothing yet to destroy.
        await instance.asked.wait()
        gone = await self._lifecycle.remove(instance)
        if gone and instance.instance_id in self._instances:
            del self._instances[instance.instance_id]
            self._change(instance, Phase.REMOVED)

    async def _end_processes(self, instances: Sequence[Instance]) -> None:
        """Without libvirt, which is gone or hangs: nothing of these runs any more when this comes back."""
        names = {instance.name for instance in instances}
        left = await reaping.end_processes(names.__contains__)
        for instance in instances:
            if instance.phase is Phase.STOPPING and instance.name not in left:
                self._instances.pop(instance.instance_id, None)
                await self._lifecycle.forget(instance)
                self._change(instance, Phase.REMOVED)

    async def _listen(self) -> None:
        async with anyio.create_task_group() as group:
            async for heard in self._news.read():
                try:
                    if heard.what == "reconnected":
                        await self._reconcile()
                    elif instance := self._lifecycle.by_name.get(heard.name):
                        self._hear(instance, heard, group)
                except Exception:
                    log.exception("news not handled", news=heard)

    def _hear(self, instance: Instance, heard: Heard, group: anyio.abc.TaskGroup) -> None:
        if heard.what == "agent":
            instance.agent.set()
        elif not instance.ended.is_set():
            instance.how = heard.how
            instance.ended.set()
            if instance.phase is Phase.READY:
                self._change(instance, Phase.LOST, failure=self._how_it_ended(instance))
                group.start_soon(self._drop_lost, instance)
            else:
                instance.launching.cancel()

    async def _reconcile(self) -> None:
        """Find what ended while libvirt was away and did not tell.

        Only what was there before the list was asked for can be missed on it; one that is being made stands still.
        """
        before = [instance for instance in self._lifecycle.by_name.values() if instance.asked.is_set()]
        try:
            active, paused = await self._connections.call(reaping.standing)
        except (*REFUSALS, EngineUnavailable):
            return  # it went away again; the next return reconciles
        async with anyio.create_task_group() as group:
            for instance in self._lifecycle.by_name.values():
                instance.agent.set()  # it may have come up meanwhile; it is asked before it is believed
            for instance in before:
                name = instance.name
                if name not in active or name in paused:
                    self._hear(instance, Heard("ended", name, "paused" if name in paused else "unknown"), group)

    def _how_it_ended(self, instance: Instance) -> Failure:
        said = self._lifecycle.console(instance)
        oom_killed = may_be_oom(instance.how, said, container=instance.is_container) and self._oom_kills.spend()
        return ending_failure(
            instance.how,
            said,
            oom_killed=oom_killed,
            container=instance.is_container,
            memory_bytes=0 if instance.is_container else memory_bytes(instance.workload),
        )

    def _killer(self) -> str:
        """The ceiling because of which the kernel killed something that no end was put down to yet; else empty."""
        if not self._oom_kills.spend():
            return ""
        return "memory.cgroup" if self._slice_use.was_full("memory") else "memory.available"

    async def _drop(self, instance: Instance) -> None:
        """Remove one that failed or was lost, so that they do not pile up; what will not go is for `reap`."""
        self._instances.pop(instance.instance_id, None)
        await self._lifecycle.remove(instance)

    async def _drop_lost(self, instance: Instance) -> None:
        try:
            await self._drop(instance)
        except Exception:
            log.exception("not removed", instance=instance.instance_id)

    def _change(
        self,
        instance: Instance,
        phase: Phase,
        *,
        at: float | None = None,
        failure: Failure | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        instance.phase = phase
        self._changes.report(instance, phase, at=at, failure=failure, details=details)
