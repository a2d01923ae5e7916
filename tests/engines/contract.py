"""The engines that the contract is tested on, and one engine under test with all that it reports."""

import itertools
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from density.controller.paths import cache_dir
from density.engines.base import Engine, EngineContext
from density.engines.simulated import HostModel, SimulatedEngine
from density.events import InstanceChanged
from density.model import Phase, Readiness, Workload, instance_name, object_name
from density.payload.channel import Channel
from density.profile.spec import SimulatedHost, Slice

Fact = TypeVar("Fact", bound=Callable[..., Awaitable[None]])
MIB = 2**20
PATIENCE_SECONDS = 240.0
"""For whatever an engine is waited for: one that hangs is a failure."""
TOO_MUCH_BYTES = 2**50
"""No machine can give a payload this much: it ends before it is ready."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An engine under the contract, and what its tests need to know of it.

    Attributes:
        make: the engine, not entered yet.
        ready: a workload that gets ready.
        impossible: one that `prepare` must refuse.
        exits: one that ends before it is ready; None where the engine has no such.
        never: one that is not ready within its timeout; None where the engine has no such.
        kill: ends an instance behind the engine's back.
        many: how many to launch at once.
        outlives: whether instances outlive the engine object.
    """

    name: str
    make: Callable[[EngineContext], Engine]
    ready: Workload
    impossible: Workload
    exits: Workload | None = None
    never: Workload | None = None
    kill: Callable[[Engine, str, str], Awaitable[None]]
    many: int = 5
    outlives: bool = True
    marks: tuple[pytest.MarkDecorator, ...] = ()


def needs(attribute: str) -> Callable[[Fact], Fact]:
    """Keep a fact to the cases that have this attribute; conftest.py leaves the others out."""

    def mark(fact: Fact) -> Fact:
        fact.needs = attribute  # type: ignore[attr-defined]
        return fact

    return mark


@dataclass
class Session:
    """One engine, entered, and everything that its `watch` said so far."""

    engine: Engine
    context: EngineContext
    changes: list[InstanceChanged] = field(default_factory=list)
    _news: anyio.Event = field(default_factory=anyio.Event)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _prepared: list[Workload] = field(default_factory=list)

    async def follow(self) -> None:
        """Collect changes until the engine is left."""
        async for change in self.engine.watch():
            self.changes.append(change)
            self._news.set()
            self._news = anyio.Event()

    async def until(self, instance_id: str, phase: Phase) -> InstanceChanged:
        """The change that brought this instance to this phase."""
        with anyio.fail_after(PATIENCE_SECONDS):
            while True:
                for change in self.changes:
                    if (change.instance_id, change.phase) == (instance_id, phase):
                        return change
                await self._news.wait()

    async def launch(self, workload: Workload, count: int = 1) -> list[str]:
        """Launch some at once; their ids, when each is ready or has failed and `watch` has said so."""
        with anyio.fail_after(PATIENCE_SECONDS):
            await self.prepare(workload)
            ids = [self.new_id(workload) for _ in range(count)]
            async with anyio.create_task_group() as group:
                for instance_id in ids:
                    group.start_soon(self.engine.launch, workload, instance_id)
            for instance_id in ids:
                while not set(self.phases(instance_id)) & {Phase.READY, Phase.FAILED}:
                    await self._news.wait()
        return ids

    async def prepare(self, workload: Workload) -> None:
        """Prepare a workload, once: for VMs that means booting one."""
        if workload not in self._prepared:
            await self.engine.prepare(workload)
            self._prepared.append(workload)

    def new_id(self, workload: Workload) -> str:
        """An id that no instance of this session had."""
        return instance_name(workload.name, next(self._numbers))

    def phases(self, instance_id: str) -> list[Phase]:
        """The phases that an instance went through."""
        return [change.phase for change in self.changes if change.instance_id == instance_id]

    async def leftovers(self) -> tuple[str, ...]:
        """What of this run is still in the engine; it is gone afterwards."""
        reaped = await self.engine.reap(self.context.run_id)
        assert reaped.left == ()
        return reaped.removed


@contextmanager
def short_directory(mode: int = 0o711) -> Generator[Path]:
    """A short path that other users can traverse, such as QEMU's, as pytest's own are not; for sockets and overlays."""
    path = Path(tempfile.mkdtemp(prefix="density-test-"))
    path.chmod(mode)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@asynccontextmanager
async def context_in(directory: Path) -> AsyncGenerator[EngineContext]:
    """What a run hands to its engines, with a run id of its own and an open channel."""
    run_id = f"t{uuid.uuid4().hex[:8]}"
    runtime, data = directory / run_id, directory / "data" / run_id
    data.mkdir(parents=True)
    for path in (data.parent, data):
        path.chmod(0o711)
    async with Channel(runtime / "channel") as channel:
        yield EngineContext(run_id=run_id, runtime_dir=runtime, data_dir=data, cache_dir=cache_dir(), channel=channel)


@asynccontextmanager
async def entered(case: Case, context: EngineContext) -> AsyncGenerator[Session]:
    """The case's engine, watched. It removes nothing on leaving, and leaving has to end the watching."""
    async with anyio.create_task_group() as group, case.make(context) as engine:
        session = Session(engine, context)
        group.start_soon(session.follow)
        yield session


@asynccontextmanager
async def opened(case: Case, directory: Path) -> AsyncGenerator[Session]:
    """An engine with a run of its own, of which nothing is left behind."""
    async with context_in(directory) as context, entered(case, context) as session:
        try:
            yield session
        finally:
            with anyio.CancelScope(shield=True):
                await session.engine.reap(context.run_id)


def _docker(context: EngineContext) -> Engine:
    from density.engines.docker import DockerEngine  # noqa: PLC0415 — slow to import

    return DockerEngine(context, endpoint="unix:///var/run/docker.sock")


def _native(context: EngineContext) -> Engine:
    from density.engines.native import NativeEngine  # noqa: PLC0415 — the others run without it

    return NativeEngine(context)


def _libvirt(uri: str) -> Callable[[EngineContext], Engine]:
    def make(context: EngineContext) -> Engine:
        from density.engines.libvirt import LibvirtEngine  # noqa: PLC0415 — an optional dependency

        return LibvirtEngine(context, uri=uri)

    return make


def _simulated(context: EngineContext) -> Engine:
    spec = SimulatedHost(launch_seconds=0.02)
    host = HostModel(spec, slice_=Slice(), workloads=(_SIMULATED, _EXITS), clock=anyio.current_time)
    return SimulatedEngine(context, host=host)


async def _kill_container(_: Engine, run_id: str, instance_id: str) -> None:
    def kill() -> None:
        import docker  # noqa: PLC0415 — slow to import

        client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto", timeout=30)
        client.kill(object_name(run_id, instance_id))
        client.close()

    await anyio.to_thread.run_sync(kill)


async def _kill_process(_: Engine, run_id: str, instance_id: str) -> None:
    await anyio.to_thread.run_sync(lambda: os.kill(_find_process(run_id, instance_id), signal.SIGKILL))


def _find_process(run_id: str, instance_id: str) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_text().split("\0")
            if f"--id {instance_id} --run {run_id} " in " ".join(words):
                return int(path.parent.name)
    raise AssertionError(f"there is no process of {instance_id}")


def _kill_domain(uri: str) -> Callable[[Engine, str, str], Awaitable[None]]:
    async def kill(engine: Engine, run_id: str, instance_id: str) -> None:
        def destroy() -> None:
            import libvirt  # noqa: PLC0415 — an optional dependency

            connection = libvirt.open(uri)
            connection.lookupByName(object_name(run_id, instance_id)).destroy()
            connection.close()

        await anyio.to_thread.run_sync(destroy)

    return kill


async def _lose(engine: Engine, run_id: str, instance_id: str) -> None:
    assert isinstance(engine, SimulatedEngine)
    engine.lose(instance_id)


def _workload(**values: Any) -> Workload:  # noqa: ANN401 — the fields of Workload
    return Workload(name="c", **values)


_SIMULATED = _workload(engine="simulated")
_EXITS = Workload(name="e", engine="simulated", image="exits")
_TEST = {"engine": "libvirt", "guest": "null", "memory_bytes": 16 * MIB, "ready": Readiness("running")}
_KVM = {"engine": "libvirt", "guest": "null", "accelerator": "kvm", "ready": Readiness("console", "ready")}

CASES = (
    Case(
        name="docker",
        make=_docker,
        ready=_workload(engine="docker"),
        impossible=_workload(engine="docker", network="density-no-such-network"),
        exits=_workload(engine="docker", touch_bytes=TOO_MUCH_BYTES),
        never=_workload(engine="docker", ready=Readiness("log", "never said"), ready_timeout_seconds=1.0),
        kill=_kill_container,
        marks=(pytest.mark.docker,),
    ),
    Case(
        name="native",
        make=_native,
        ready=_workload(engine="native"),
        impossible=_workload(engine="native", image="nginx"),
        exits=_workload(engine="native", touch_bytes=TOO_MUCH_BYTES),
        kill=_kill_process,
    ),
    Case(
        name="simulated",
        make=_simulated,
        ready=_SIMULATED,
        impossible=_workload(engine="simulated", image="missing"),
        exits=_EXITS,
        never=_workload(engine="simulated", ready_timeout_seconds=0.001),
        kill=_lose,
        outlives=False,
    ),
    Case(
        name="libvirt-test",
        make=_libvirt("test:///default"),
        ready=_workload(**_TEST),
        impossible=_workload(**_TEST, network="density-no-such-network"),
        kill=_kill_domain("test:///default"),
        outlives=False,  # the hypervisor is in this process and ends with its last connection
        marks=(pytest.mark.libvirt,),
    ),
    Case(
        name="libvirt-lxc",
        make=_libvirt("lxc:///system"),
        ready=_workload(engine="libvirt", guest="none"),
        impossible=_workload(engine="libvirt", guest="null"),
        exits=_workload(engine="libvirt", guest="none", touch_bytes=TOO_MUCH_BYTES),
        kill=_kill_domain("lxc:///system"),
        marks=(pytest.mark.lxc, pytest.mark.root),
    ),
    Case(
        name="libvirt-kvm-null",
        make=_libvirt("qemu:///system"),
        ready=_workload(**_KVM, memory_bytes=16 * MIB),
        impossible=_workload(**_KVM, memory_bytes=16 * MIB, network="density-no-such-network"),
        never=_workload(**_KVM | {"ready": Readiness("console", "never said")}, ready_timeout_seconds=3.0),
        kill=_kill_domain("qemu:///system"),
        marks=(pytest.mark.libvirt, pytest.mark.kvm, pytest.mark.root),
    ),
    Case(
        name="libvirt-tcg-payload",
        make=_libvirt("qemu:///system"),
        ready=_workload(engine="libvirt", accelerator="tcg", memory_bytes=128 * MIB, ready_timeout_seconds=120.0),
        impossible=_workload(engine="libvirt", accelerator="tcg", memory_bytes=8 * MIB),
        kill=_kill_domain("qemu:///system"),
        many=2,
        marks=(pytest.mark.libvirt, pytest.mark.root),
    ),
)
