"""Docker as an engine."""

import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import anyio
from anyio import CapacityLimiter, create_task_group, from_thread, to_thread
from docker import APIClient

from density.ceilings.errors import classify
from density.engines.base import EngineContext
from density.engines.changes import Changes
from density.engines.docker import removal
from density.engines.docker.answers import Container, Created, Info, ListedContainer, Version
from density.engines.docker.client import (
    CLIENT_ERRORS,
    Clients,
    elsewhere,
    find_endpoint,
    has_answered,
    is_refused,
    unavailable,
    words,
)
from density.engines.docker.daemon import clock_of, engine_info, find_daemons, maps_users
from density.engines.docker.ending import Ending, Known, ending_failure, port_clash, read_ending, start_failure
from density.engines.docker.feed import INSTANCE_LABEL, Feed, Heard, parse_status
from density.engines.docker.health import Health
from density.engines.docker.instance import PAUSED, Instance
from density.engines.docker.machine import daemons_machine, is_elsewhere, this_machine
from density.engines.docker.not_ready import Found, look, not_ready, unhealthy
from density.engines.docker.preparing import Preparer
from density.engines.docker.readiness import NeverReadyError, Waiter
from density.engines.docker.session import Patience
from density.engines.docker.shims import end_shims
from density.engines.docker.spec import container_document, is_payload
from density.engines.own_limits import KernelBook, SliceUse, reached_alive
from density.errors import EngineUnavailable
from density.events import InstanceChanged
from density.host.container_mounts import SHORT
from density.host.leaf import Leaf, files_limit, read_leaf
from density.log import logger
from density.model import (
    LABEL,
    EngineInfo,
    EngineName,
    Failure,
    Labelled,
    OwnLimit,
    Phase,
    Prepared,
    Reaped,
    Workload,
    object_name,
)
from density.threads import in_thread
from density.units import format_seconds

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

log = logger(__name__)
CALLS_AT_ONCE = 32
BETWEEN_LISTS_SECONDS = 0.5
"""Where much is missed."""
LISTEN_AGAIN_SECONDS = 0.5
REPLACED_SECONDS = 10.0
"""What is found to have ended this soon after a daemon took another's place has ended with that one."""

Result = TypeVar("Result")


class DockerEngine:
    """Containers of one Docker daemon; see `density.engines.base.Engine` for the contract.

    Every call runs in a worker thread with an SDK client to itself; one more thread hears the daemon's events, so
    nothing is asked per instance while it just runs.
    """

    name: EngineName = "docker"

    def __init__(self, context: EngineContext, *, endpoint: str = "", patience: Patience = Patience()) -> None:
        """Not connected yet.

        Args:
            context: of the run.
            endpoint: `unix:///path` or `tcp://host:port`; empty: `DOCKER_HOST`, else Docker's own default.
            patience: for how long the daemon is waited for.
        """
        self._context = context
        self._clients = Clients(find_endpoint(endpoint), concurrency=CALLS_AT_ONCE, patience=patience)
        self._changes = Changes()
        self._instances: dict[str, Instance] = {}
        self._images: dict[str, str] = {}
        self._waiter = Waiter(self._clients, context.channel)
        self._group: TaskGroup
        self._cgroup_driver = ""
        self._book = KernelBook()
        self._slice_use = SliceUse(context.placement)
        self._daemons: Mapping[str, int] = {}
        self._removals_at_once = removal.AT_ONCE
        self._made: dict[str, str] = {}
        self._files_limits: dict[str, float] = {}
        self._missed = self._reconciling = False
        self._replaced_at = -math.inf
        # One at a time: a wave that fails looks at the same files for each of its instances.
        self._looking = CapacityLimiter(1)
        self._feed: Feed
        self._preparer: Preparer

    async def __aenter__(self) -> Self:
        try:
            info = await self._connect()
        except BaseException:
            self._clients.close()
            raise
        self._cgroup_driver = info.cgroup_driver
        if maps_users(info):
            parents = self._context.placement.docker_parents if self._context.placement else {}
            self._context.channel.admit_others(Path(parents.get(self._cgroup_driver, "")).stem)
        self._preparer = Preparer(self._clients, self._context, cpus=float(info.cpus or 1))
        self._feed = Feed(self._clients, self._context.run_id, since=clock_of(info), find_pid=self._daemon)
        self._group = create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.close()
        self._group.cancel_scope.deadline = anyio.current_time() + self._clients.patience.leave
        try:
            # The error in the body is the caller's: handed to the group, it would come back as a group of errors.
            await self._group.__aexit__(None, None, None)
        finally:
            self._changes.close()
            self._clients.close()

    async def describe(self) -> EngineInfo:
        """Version, endpoint, limits, daemons; `facts` has `cgroup_driver`, `root_dir` and the like."""
        info, version = await self._ask(
            lambda client: (Info.of(client.info()), Version.of(client.version(api_version=False)))
        )
        known = await in_thread(engine_info, info, version, self._clients.endpoint)
        self._daemons = known.daemons
        listed = await removal.list_labelled(self._clients, self._context.run_id)
        ids = (found.labels.get(INSTANCE_LABEL, "") for found in listed if found.state == "running")
        return replace(known, running=tuple(ids))

    async def check(self, workload: Workload) -> None:
        """Look at the workload and its network; pulls and makes no image."""
        try:
            await self._preparer.check(workload)
        except CLIENT_ERRORS as error:
            raise unavailable(self._clients.endpoint, error) from error

    async def prepare(self, workload: Workload) -> Prepared:
        """Make or pull the image, look at the network."""
        try:
            self._images[workload.name], prepared = await self._preparer.prepare(workload)
        except CLIENT_ERRORS as error:
            raise unavailable(self._clients.endpoint, error) from error
        return prepared

    async def launch(self, workload: Workload, instance_id: str) -> None:
        """Create and start one container and come back when it is ready or has failed."""
        self._refuse_when_gone()
        if workload.name not in self._images:
            await self.prepare(workload)
        instance = self._instances[instance_id] = Instance(instance_id, workload)
        if is_payload(workload):
            instance.secret = self._context.channel.expect(instance_id)
        try:
            failure = await self._bring_up(instance, anyio.current_time() + workload.ready_timeout_seconds)
        except Exception:
            await self._drop(instance)  # whatever it was, it is no reason to leave a container that nobody waits for
            raise
        if failure is not None:
            self._change(instance, Phase.FAILED, failure=failure)
            self._refuse_when_gone()
            await self._drop(instance)

    def watch(self) -> AsyncGenerator[InstanceChanged]:
        """Every change of every instance, in order, until the engine is left; for one consumer."""
        return self._changes.read()

    async def stop(self, instance_ids: Sequence[str]) -> None:
        """Tell payloads to go, then remove by force what has not gone; several at once.

        All payloads are told at once, but where that may lock the daemon up.
        """
        known = (self._instances.get(instance_id) for instance_id in dict.fromkeys(instance_ids))
        leaving = [each for each in known if each is not None and (each.is_alive or each.phase is Phase.STOPPING)]
        for instance in leaving:
            if instance.phase is Phase.STOPPING:
                continue  # it did not go the last time
            if instance.phase is not Phase.READY:
                self._change(instance, Phase.FAILED, failure=Failure("cancelled", "stopped before it was ready"))
            self._change(instance, Phase.STOPPING)
            instance.interrupt()
        if not self._locks_up:
            await self._send_away([each for each in leaving if _hears(each)])
        # Once: what does not go at once is for `reap`, when the others are gone.
        await removal.for_each(leaving, self._stop_one, self._pace(), attempts=1)

    async def labelled(self) -> tuple[Labelled, ...]:
        """Containers in whatever state, images, networks and volumes."""
        return await removal.all_labelled(self._clients)

    async def reap(self, run_id: str) -> Reaped:
        """Remove containers by label, look again, and again while some go, or one appeared late; then the rest."""
        seen: dict[str, str] = {}
        found = await removal.list_labelled(self._clients, run_id)
        keeps_up, in_vain = True, 0
        while found and keeps_up and in_vain < removal.ATTEMPTS:
            names = removal.names_of(found)
            seen |= names
            await self.stop([each.labels.get(INSTANCE_LABEL, "") for each in found if self._is_ours(each)])
            keeps_up = await removal.for_each(names, lambda each: removal.remove(self._clients, each), self._pace())
            found = await removal.list_labelled(self._clients, run_id)
            in_vain = 0 if len(found) < len(names) else in_vain + 1
        if run_id == self._context.run_id:
            self._note_gone(found)
        left = removal.names_of(found)
        things = removal.RemovedThings(keeps_up=False)
        if keeps_up:
            things = await removal.remove_things(self._clients, run_id, self._pace())
        made = self._made if run_id == self._context.run_id else {}
        gone = {each: name for each, name in {**made, **seen}.items() if each not in left}
        shims = await end_shims(gone) if gone and self._clients.endpoint.is_local else ()
        return Reaped(
            removed=(*sorted(set(seen.values()) - set(left.values())), *things.removed),
            left=(*sorted(left.values()), *things.left, *shims),
            problem="" if things.keeps_up else removal.STALLED,
        )

    @property
    def _locks_up(self) -> bool:
        """Whether hundreds of containers that end at once may lock the daemon up, whoever ends them."""
        return self._removals_at_once <= removal.AT_ONCE

    def _pace(self) -> removal.Pace:
        return removal.Pace(self._removals_at_once)

    def _daemon(self) -> int:
        """Pid of the daemon that is there now; 0 where it is not seen. Blocks."""
        return find_daemons(self._clients.endpoint).get("dockerd", 0)

    def _note_gone(self, listed: Iterable[ListedContainer]) -> None:
        """What was told to go and is not listed is gone, whatever the daemon answered to its removal."""
        there = {each.labels.get(INSTANCE_LABEL) for each in listed}
        for instance in tuple(self._instances.values()):
            if instance.phase is Phase.STOPPING and instance.instance_id not in there:
                self._change(instance, Phase.REMOVED)
                self._forget(instance)

    async def _connect(self) -> Info:
        """What the daemon says of itself, which has to be one of this machine."""
        self._removals_at_once = removal.removals_at_once(await self._clients.connect())
        info = await self._ask(lambda client: Info.of(client.info()), seconds=self._clients.patience.hello)
        there, here = daemons_machine(info), this_machine()
        if is_elsewhere(self._clients.endpoint, there, here):
            raise elsewhere(self._clients.endpoint, there.words, here.words)
        return info

    async def _bring_up(self, instance: Instance, deadline: float) -> Failure | None:
        try:
            if await self._create_and_start(instance, deadline):
                return await self._await_ready(instance, deadline)
        except CLIENT_ERRORS as error:
            instance.may_exist = bool(instance.container_id) or not has_answered(error)
            message = words(error)
            if anyio.current_time() >= deadline:
                within = format_seconds(instance.workload.ready_timeout_seconds)
                return Failure("timeout", f"not {_stage(instance)} within {within}: {message}")
            kind = "refused" if is_refused(error) else classify(message)
            logged = self._book.take(mark=instance.container_id) if instance.container_id else ()
            return start_failure(kind, message, instance, logged)
        return None

    async def _create_and_start(self, instance: Instance, deadline: float) -> bool:
        """Whether it runs now; False where it was stopped meanwhile."""
        image = self._images[instance.workload.name]
        document = container_document(
            instance.workload,
            instance.instance_id,
            image=image,
            context=self._context,
            cgroup_driver=self._cgroup_driver,
            secret=instance.secret,
        )
        name = object_name(self._context.run_id, instance.instance_id)

        def create(client: APIClient) -> str:
            return Created.of(client.create_container_from_config(document, name)).id  # type: ignore[no-untyped-call]

        instance.container_id = await self._make(create, deadline)
        self._made[instance.container_id] = name
        if not instance.is_alive:
            await self._drop(instance)
            return False
        self._change(instance, Phase.CREATED, details={"container": instance.container_id[:SHORT]})
        await self._make(lambda client: client.start(instance.container_id), deadline)
        if instance.is_alive:
            self._change(instance, Phase.STARTED)
        return instance.is_alive

    async def _make(self, function: Callable[[APIClient], Result], deadline: float) -> Result:
        """A call that makes or starts a container, in the time that the instance has."""
        left = min(self._clients.patience.work, deadline - anyio.current_time())
        return await self._clients.call(function, seconds=max(left, 0.001), makes=True)

    async def _await_ready(self, instance: Instance, deadline: float) -> Failure | None:
        ready: tuple[float, Mapping[str, str]] | None = None
        never: Failure | None = None
        with anyio.CancelScope(deadline=deadline) as instance.launching:
            if not instance.ended.is_set():
                try:
                    ready = await self._waiter.wait(instance)
                except NeverReadyError as error:
                    never = error.failure
        if not instance.is_alive:
            return None
        if instance.ended.is_set():
            return await self._how_it_ended(instance)
        if ready is None:
            found = await self._look(instance)
            wanted = instance.workload.ready
            is_logged = wanted.by == "log" and await in_thread(found.has_line, wanted.argument, limiter=self._looking)
            if never or instance.unhealthy or not is_logged:
                late = replace(never, evidence=found.shown) if never else not_ready(instance, found)
                return replace(late, own_limits=await self._held_back(instance, late, found.pid))
            ready = anyio.current_time(), {}
        at, details = ready
        # A payload may say hello before the daemon has come back from starting it.
        self._change(instance, Phase.READY, at=max(at, instance.changed_at), details=details)
        if not is_payload(instance.workload) and instance.workload.name not in self._files_limits:
            self._files_limits[instance.workload.name] = 0.0
            self._beside(self._note_limits, instance)
        return None

    async def _note_limits(self, instance: Instance) -> None:
        """How many files the first instance of a workload that is ready may open: its program may have set that itself.

        Once it failed nobody can tell any more.
        """
        with suppress(*CLIENT_ERRORS):
            found = await self._clients.call(lambda client: client.inspect_container(instance.container_id))
            limit = await in_thread(files_limit, Container.of(found).state.pid, limiter=self._looking)
            self._files_limits[instance.workload.name] = limit

    async def _held_back(self, instance: Instance, late: Failure, pid: int) -> tuple[OwnLimit, ...]:
        """The limits of its own at which one that runs and is not ready is held back."""
        siblings = self._siblings(instance)

        def look_at() -> tuple[OwnLimit, ...]:
            clash = port_clash(instance, siblings, late.message) if late.kind == "port_taken" else ()
            leaf = read_leaf(pid) if pid else Leaf()
            return clash or reached_alive(leaf, slice_full=self._slice_use.was_full("tasks"))

        return await in_thread(look_at, limiter=self._looking)

    async def _send_away(self, instances: Sequence[Instance]) -> None:
        """Tell payloads to go, which have some seconds for it; no later for one that was told before."""
        await self._context.channel.dismiss([each.instance_id for each in instances])
        for instance in instances:
            instance.forced_at = min(instance.forced_at, anyio.current_time() + self._clients.patience.farewell)

    async def _stop_one(self, instance: Instance) -> bool:
        if _hears(instance):
            if self._locks_up:
                await self._send_away([instance])
            with anyio.CancelScope(deadline=instance.forced_at):
                await instance.ended.wait()
        name = object_name(self._context.run_id, instance.instance_id)
        gone = await removal.remove(self._clients, instance.container_id or name)
        if gone and instance.instance_id in self._instances:
            self._change(instance, Phase.REMOVED)
            self._forget(instance)
        return gone

    def _beside(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Begin a task beside the calls, but not once the engine is given up.

        News still come then, from a thread; what began after the cancellation would never hear of it.
        """
        if not self._group.cancel_scope.cancel_called:
            self._group.start_soon(self._contained, work, *arguments)

    async def _contained(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """A task beside the calls; a fault in it is no reason to end what the engine was entered for."""
        try:
            await work(*arguments)
        except Exception:
            log.exception("not done", work=work.__name__, arguments=arguments)

    async def _listen(self) -> None:
        def handle(heard: Heard) -> None:
            try:
                self._hear(heard)
            except Exception:
                log.exception("event not handled", heard=heard)

        def hear(heard: Heard) -> None:
            from_thread.run_sync(handle, heard)

        limiter = CapacityLimiter(1)  # of its own: this thread stays for as long as the engine
        while True:
            try:
                await to_thread.run_sync(self._feed.run, hear, limiter=limiter, abandon_on_cancel=True)
            except Exception:
                log.exception("events not heard, listened to again")
            else:
                return
            self._hear_of_a_gap(replaced=False)
            await anyio.sleep(LISTEN_AGAIN_SECONDS)

    def _hear(self, heard: Heard) -> None:
        if heard.what in {"missed", "replaced"}:
            self._hear_of_a_gap(replaced=heard.what == "replaced")
            return
        instance = self._instances.get(heard.instance_id)
        if instance is None or instance.ended.is_set():
            return
        match heard.what:
            case "oom":
                instance.out_of_memory = True
            case "healthy" | "unhealthy":
                self._hear_health(instance, heard)
            case "paused" | "unpaused":
                instance.paused = heard.what == "paused"
            case "died":
                instance.exit_code = heard.exit_code
                instance.went_with_daemon = anyio.current_time() - self._replaced_at <= REPLACED_SECONDS
                instance.ended.set()
                if instance.phase is Phase.STARTED:
                    instance.interrupt()
        if instance.phase is Phase.READY and (instance.ended.is_set() or instance.unhealthy or instance.paused):
            instance.phase = Phase.LOST
            self._beside(self._report_lost, instance, anyio.current_time())

    def _hear_of_a_gap(self, *, replaced: bool) -> None:
        """Something may have happened unheard."""
        self._missed = True
        if replaced:
            self._replaced_at = anyio.current_time()
        if not self._reconciling:
            self._reconciling = True
            self._beside(self._reconcile)

    def _hear_health(self, instance: Instance, heard: Heard) -> None:
        """The last word counts, in whatever order they come; 0 is a word of now."""
        if 0 < heard.at < instance.health_at:
            return
        instance.health_at = max(instance.health_at, heard.at)
        instance.unhealthy = heard.what == "unhealthy"
        if instance.unhealthy:
            instance.healthy = anyio.Event()
        else:
            instance.healthy.set()

    async def _reconcile(self) -> None:
        """Look for what was missed, once after another."""
        try:
            while self._missed:
                self._missed = False
                await self._look_for_missed()
                await anyio.sleep(BETWEEN_LISTS_SECONDS)
        finally:
            self._reconciling = False

    async def _look_for_missed(self) -> None:
        """Find what ended, or changed its health, while the daemon was away and did not tell.

        Only what ran before the list was asked for can be missed on it.
        """
        running = {Phase.STARTED, Phase.READY}
        before = [instance for instance in self._instances.values() if instance.phase in running]
        try:
            found = await removal.list_labelled(self._clients, self._context.run_id)
        except EngineUnavailable:
            return  # it went away again; the next return reconciles
        listed = {each.labels.get(INSTANCE_LABEL): each for each in found if each.state in {"running", "paused"}}
        for instance in before:
            if instance.phase not in running:
                continue
            here = listed.get(instance.instance_id)
            if here is None:
                self._hear(Heard("died", instance.instance_id))
            elif here.state == "paused":
                self._hear(Heard("paused", instance.instance_id))
            elif health := parse_status(here.status):
                self._hear(Heard(health, instance.instance_id))

    async def _report_lost(self, instance: Instance, at: float) -> None:
        failure = Failure("exited", "ended, and it could not be found out how")
        try:
            if instance.ended.is_set():
                failure = await self._how_it_ended(instance)
            elif instance.paused:
                failure = Failure("paused", PAUSED)
            else:
                failure = unhealthy(await self._look(instance))
        except Exception:
            log.exception("not known how it ended", instance=instance.instance_id)
        finally:
            self._change(instance, Phase.LOST, at=at, failure=failure)
        await self._drop(instance)

    async def _look(self, instance: Instance) -> Found:
        """Look at a container that is not as it should be; what the daemon does not say stays empty."""
        with suppress(*CLIENT_ERRORS):
            return await self._clients.call(lambda client: look(client, instance.container_id))
        return Found((), Health(), None)

    async def _how_it_ended(self, instance: Instance) -> Failure:
        ending, siblings = Ending(), self._siblings(instance)
        with suppress(*CLIENT_ERRORS):
            ending = await self._clients.call(lambda client: read_ending(client, instance.container_id))
        failure = await in_thread(
            lambda: ending_failure(ending, instance, self._known(instance, siblings)), limiter=self._looking
        )
        if instance.went_with_daemon:
            return replace(
                failure, kind="engine", message=f"gone with the daemon, which was started anew: {failure.message}"
            )
        return failure

    def _siblings(self, instance: Instance) -> tuple[str, ...]:
        """Ids of the other containers of its workload."""
        others = (each for each in self._instances.values() if each is not instance and each.is_alive)
        same = (each for each in others if each.workload.name == instance.workload.name)
        return tuple(each.container_id for each in same if each.container_id)

    def _known(self, instance: Instance, siblings: Sequence[str]) -> Known:
        """What is known of an end without the daemon. Blocks."""
        return Known(
            siblings=siblings,
            readable=self._book.readable and self._clients.endpoint.is_local,
            logged=self._book.take(mark=instance.container_id),
            slice_was_full=self._slice_use.was_full("memory"),
            slice_tasks_full=self._slice_use.was_full("tasks"),
            files_limit=self._files_limits.get(instance.workload.name, 0.0),
            daemon_files_limit=files_limit(self._daemons.get("containerd") or self._daemons.get("dockerd", 0)),
        )

    async def _drop(self, instance: Instance) -> None:
        """Remove one that failed or was lost, so that they do not pile up; what will not go is for `reap`."""
        self._forget(instance)
        if not instance.may_exist:
            return
        with suppress(EngineUnavailable):
            name = object_name(self._context.run_id, instance.instance_id)
            await removal.remove(self._clients, instance.container_id or name)

    def _forget(self, instance: Instance) -> None:
        self._instances.pop(instance.instance_id, None)
        if is_payload(instance.workload):
            self._context.channel.forget(instance.instance_id)

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

    def _is_ours(self, container: ListedContainer) -> bool:
        return container.labels.get(LABEL) == self._context.run_id

    def _refuse_when_gone(self) -> None:
        since, gone = self._feed.down_since, self._clients.patience.gone
        if since is not None and time.monotonic() - since > gone:
            raise EngineUnavailable(
                "docker", f"{self._clients.endpoint.url} has not answered for {gone:g} s: {self._feed.down_reason}"
            )

    async def _ask(self, function: Callable[[APIClient], Result], *, seconds: float = 0.0) -> Result:
        try:
            return await self._clients.call(function, seconds=seconds)
        except CLIENT_ERRORS as error:
            raise unavailable(self._clients.endpoint, error) from error


def _stage(instance: Instance) -> str:
    return "started" if instance.container_id else "created"


def _hears(instance: Instance) -> bool:
    """Whether it runs a payload, which goes when it is told to."""
    return is_payload(instance.workload) and bool(instance.container_id)
