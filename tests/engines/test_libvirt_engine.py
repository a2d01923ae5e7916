"""What the libvirt engine does beyond the contract, on a real libvirt with QEMU."""

import errno
import os
import shutil
import signal
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import anyio
import libvirt
import pytest
from engines.contract import Session, context_in

from density.engines.base import EngineContext
from density.engines.libvirt import LibvirtEngine
from density.engines.libvirt.hypervisor import all_directories, directories_of
from density.engines.libvirt.machine import overlay_path
from density.errors import EngineUnavailable, UsageError
from density.host.slice import Slice
from density.model import Phase, Readiness, Workload, object_name
from density.payload.channel import Channel
from density.payload.guests.bootsector import SAYS, boot_image

pytestmark = [pytest.mark.anyio, pytest.mark.libvirt, pytest.mark.root]

MIB = 2**20
NULL = Workload(name="n", engine="libvirt", guest="null", accelerator="tcg")
SILENT = replace(NULL, ready=Readiness("console", "never said"))
BARE = Workload(name="b", engine="libvirt", guest="null", ready=Readiness("running"))
PAYLOAD = Workload(name="p", engine="libvirt", accelerator="tcg", ready_timeout_seconds=120.0)
GREETING = "disk is here!"
NETWORK = "<network><name>{name}</name><bridge name='{bridge}'/></network>"
"""Without DHCP, which would need dnsmasq."""
NETWORK_FILES = Path("/run/libvirt/network")
"""libvirt leaves an empty directory of a network here."""


@asynccontextmanager
async def watched(context: EngineContext, uri: str = "qemu:///system") -> AsyncGenerator[Session]:
    """An engine that is watched."""
    async with anyio.create_task_group() as group, LibvirtEngine(context, uri=uri) as engine:
        session = Session(engine, context)
        group.start_soon(session.follow)
        yield session


@asynccontextmanager
async def running(context: EngineContext, uri: str = "qemu:///system") -> AsyncGenerator[Session]:
    """The same, that leaves nothing of its run."""
    with anyio.fail_after(240):
        async with watched(context, uri) as session:
            try:
                yield session
            finally:
                with anyio.CancelScope(shield=True):
                    assert (await session.engine.reap(context.run_id)).left == ()


@asynccontextmanager
async def opened(directory: Path, uri: str = "qemu:///system") -> AsyncGenerator[Session]:
    """The same, with a run of its own."""
    async with context_in(directory) as context, running(context, uri) as session:
        yield session


@asynccontextmanager
async def sliced(directory: Path, *, memory_bytes: int, tasks: int = 0) -> AsyncGenerator[tuple[Session, Slice]]:
    """The same in a slice of the host."""
    async with (
        context_in(directory) as context,
        Slice(context.run_id, memory_bytes=memory_bytes, tasks=tasks) as limits,
        running(replace(context, placement=limits.placement())) as session,
    ):
        yield session, limits


@pytest.fixture
def image(runtime_dir: Path) -> Path:
    """A bootable disk image that says something on its console, readable for everybody."""
    path = runtime_dir / "disk.img"
    assert len(GREETING) == len(SAYS)
    path.write_bytes(boot_image().replace(SAYS.encode(), GREETING.encode()))
    path.chmod(0o644)
    return path


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A directory that nobody else can enter."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def network() -> Iterator[tuple[str, str]]:
    """A libvirt network that gives out no addresses: its name and its bridge."""
    name, bridge = f"density-test-{os.getpid()}", f"dt{os.getpid()}"
    connection = libvirt.open("qemu:///system")
    made = connection.networkCreateXML(NETWORK.format(name=name, bridge=bridge))
    yield name, bridge
    made.destroy()
    connection.close()
    shutil.rmtree(NETWORK_FILES / name, ignore_errors=True)


def known(path: Path) -> tuple[bytes, int]:
    """A file's content and its owner."""
    return path.read_bytes(), path.stat().st_uid


def ports_of(bridge: str) -> int:
    """How many devices are plugged into a bridge."""
    return len(list(Path(f"/sys/class/net/{bridge}/brif").iterdir()))


def cgroups_of(session: Session, instance_id: str) -> list[str]:
    """The cgroup of QEMU in every hierarchy."""
    lines = Path(f"/proc/{pid_of(session, instance_id)}/cgroup").read_text().splitlines()
    return [line.split(":")[2] for line in lines]


def pid_of(session: Session, instance_id: str) -> int:
    """QEMU's process id."""
    name = object_name(session.context.run_id, instance_id)
    return int((directories_of("qemu:///system", "qemu").pids / f"{name}.pid").read_text())


def break_connections() -> int:
    """Cut every connection of this process to libvirt, as a daemon does that is restarted; how many there were."""
    cut = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if link.is_socket():
                with socket.socket(fileno=os.dup(int(link.name))) as copy:
                    if "libvirt-sock" in str(copy.getpeername()):
                        copy.shutdown(socket.SHUT_RDWR)
                        cut += 1
    return cut


async def test_payload_is_linux_and_answers(runtime_dir: Path) -> None:
    """The payload guest says which kernel it runs, answers pings, and powers off when it is told to go."""
    async with opened(runtime_dir) as session:
        [instance_id] = await session.launch(PAYLOAD)
        ready = await session.until(instance_id, Phase.READY)
        assert ready.details["kernel"]
        assert 0 < await session.context.channel.ping(instance_id) < 5
        await session.engine.stop([instance_id])
        await session.until(instance_id, Phase.REMOVED)


async def test_auto_says_why_it_emulates(runtime_dir: Path) -> None:
    """Whichever accelerator comes up is named; emulation comes with the reason, KVM without a word."""
    async with opened(runtime_dir) as session:
        prepared = await session.engine.prepare(replace(NULL, accelerator="auto"))
    if prepared.accelerator == "kvm":
        assert prepared.warnings == ()
    else:
        assert prepared.accelerator == "tcg"
        assert "KVM with the CPU" in prepared.warnings[0]


async def test_disk_guest_writes_to_an_overlay(runtime_dir: Path, image: Path) -> None:
    """Each instance has its own overlay, which goes with it; the image keeps its content and its owner."""
    before = known(image)
    disk = replace(NULL, guest="disk", image=str(image), ready=Readiness("console", "disk.*here"))
    async with opened(runtime_dir) as session:
        ids = await session.launch(disk, 2)
        overlays = [overlay_path(session.context.data_dir, each) for each in ids]
        assert [session.phases(each)[-1] for each in ids] == [Phase.READY, Phase.READY]
        assert all(path.exists() for path in overlays)
        await session.engine.stop(ids)
        assert not any(path.exists() for path in overlays)
        names = [object_name(session.context.run_id, each) for each in ids]
        assert not any((each.logs / f"{name}.log").exists() for name in names for each in all_directories())
    assert known(image) == before


async def test_disk_guest_on_a_chain_of_images(runtime_dir: Path, image: Path) -> None:
    """An image on a qcow2 on a raw one boots what is in the lowest of them."""
    middle, top = runtime_dir / "middle.qcow2", runtime_dir / "app.qcow2"
    for below, kind, above in ((image, "raw", middle), (middle, "qcow2", top)):
        await anyio.run_process(["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", below.name, str(above)])
        above.chmod(0o644)
    disk = replace(NULL, guest="disk", image=str(top), ready=Readiness("console", "disk.*here"))
    async with opened(runtime_dir) as session:
        [instance_id] = await session.launch(disk)
        assert session.phases(instance_id)[-1] is Phase.READY


async def test_crashed_runs_overlay_is_reaped(runtime_dir: Path, image: Path) -> None:
    """What a dead run left is removed with its overlays by an engine of another run."""
    disk = replace(NULL, guest="disk", image=str(image), ready=Readiness("running"))
    async with context_in(runtime_dir) as dead:
        async with LibvirtEngine(dead) as engine:
            await engine.launch(disk, "n-00001")
        async with opened(runtime_dir) as session:
            reaped = await session.engine.reap(dead.run_id)
        assert reaped.removed == (object_name(dead.run_id, "n-00001"),)
        assert not overlay_path(dead.data_dir, "n-00001").parent.exists()


async def test_disk_that_never_greets_is_refused(runtime_dir: Path, image: Path) -> None:
    """A disk guest that does not become ready alone is no workload; its console says what it said instead."""
    mute = replace(
        NULL, guest="disk", image=str(image), ready=Readiness("console", "login:"), ready_timeout_seconds=2.0
    )
    async with opened(runtime_dir) as session:
        with pytest.raises(UsageError, match=f"not ready after 2 s; its last words: {GREETING}") as refused:
            await session.engine.prepare(mute)
        assert "matches 'login:'; it printed 1 other line" in str(refused.value)
        assert await session.leftovers() == ()


async def test_network_is_known_by_its_bridge(runtime_dir: Path, network: tuple[str, str]) -> None:
    """A libvirt network is told by the bridge that its VMs plug into."""
    name, bridge = network
    plugged = replace(NULL, network=name)
    async with opened(runtime_dir) as session:
        prepared = await session.engine.prepare(plugged)
        assert prepared.networks == {bridge: 0}
        await session.launch(plugged, 2)
        assert ports_of(bridge) == 2


async def test_out_of_descriptors_one_launch_fails(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A serial port for which there is no descriptor left is a failure of that launch; nothing of it stays."""

    def out_of_descriptors(_: Channel, instance_id: str) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with opened(runtime_dir) as session:
        first, *_ = await session.launch(NULL)
        with monkeypatch.context() as short:
            short.setattr(Channel, "joined", out_of_descriptors)
            await session.engine.launch(NULL, "n-00002")
        failed = await session.until("n-00002", Phase.FAILED)
        assert failed.failure is not None
        assert failed.failure.kind == "too_many_files"
        assert (await session.engine.describe()).running == (first,)
        await session.engine.launch(NULL, "n-00003")
        await session.until("n-00003", Phase.READY)


@pytest.mark.lxc
async def test_other_users_do_not_see_a_containers_secret(runtime_dir: Path) -> None:
    """It is in a file for root alone, and not in the domain, which libvirt shows to everybody."""
    async with opened(runtime_dir, "lxc:///system") as session:
        [instance_id] = await session.launch(Workload(name="c", engine="libvirt", guest="none"))
        connection = libvirt.openReadOnly("lxc:///system")
        xml = connection.lookupByName(object_name(session.context.run_id, instance_id)).XMLDesc()
        connection.close()
        [file] = session.context.data_dir.glob("errors/*.secret")
        secret = session.context.channel._instances[instance_id].secret
        assert file.read_text() == secret
        assert file.stat().st_mode & 0o077 == 0
        assert secret not in xml
        await session.engine.stop([instance_id])
        assert not file.exists()


async def test_killed_while_starting(runtime_dir: Path) -> None:
    """A VM that ends before it is ready has failed as `exited`, at once and not at its timeout."""
    async with opened(runtime_dir) as session:
        await session.engine.prepare(SILENT)
        async with anyio.create_task_group() as group:
            group.start_soon(session.engine.launch, SILENT, "n-00001")
            await session.until("n-00001", Phase.STARTED)
            os.kill(pid_of(session, "n-00001"), signal.SIGKILL)
        change = await session.until("n-00001", Phase.FAILED)
        assert change.failure is not None
        assert (change.failure.kind, change.failure.message) == ("exited", "QEMU ended without a word")


async def test_stopped_while_starting(runtime_dir: Path) -> None:
    """Stopping one that is not ready yet fails it as cancelled, ends its launch, and removes it."""
    async with opened(runtime_dir) as session:
        await session.engine.prepare(SILENT)
        async with anyio.create_task_group() as group:
            group.start_soon(session.engine.launch, SILENT, "n-00001")
            await session.until("n-00001", Phase.STARTED)
            await session.engine.stop(["n-00001"])
        await session.until("n-00001", Phase.REMOVED)
        assert session.phases("n-00001")[-3:] == [Phase.FAILED, Phase.STOPPING, Phase.REMOVED]
        assert await session.leftovers() == ()


async def test_libvirt_comes_back(runtime_dir: Path) -> None:
    """With all connections cut the engine connects again, and what ended meanwhile is found to be lost."""
    async with opened(runtime_dir) as session:
        first, second = await session.launch(NULL, 2)
        pid = pid_of(session, first)
        assert break_connections() > 1
        os.kill(pid, signal.SIGKILL)
        await session.until(first, Phase.LOST)
        await session.engine.launch(NULL, "n-00003")
        await session.until("n-00003", Phase.READY)
        assert session.phases(second)[-1] is Phase.READY


async def test_private_cache_is_staged(runtime_dir: Path, private: Path) -> None:
    """Guests in a directory that QEMU's user cannot enter boot all the same, and the copies go with the engine."""
    async with context_in(runtime_dir) as context:
        async with running(replace(context, cache_dir=private)) as session:
            [instance_id] = await session.launch(NULL)
            assert session.phases(instance_id)[-1] is Phase.READY
            assert (context.data_dir / "guests").is_dir()
        assert not (context.data_dir / "guests").exists()


async def test_slice_holds_qemu(runtime_dir: Path) -> None:
    """In every cgroup hierarchy that is limited QEMU is inside the slice, also where libvirt does not put it."""
    async with sliced(runtime_dir, tasks=200, memory_bytes=512 * MIB) as (session, limits):
        [instance_id] = await session.launch(NULL)
        name = limits.paths.controllers["memory"].name
        for cgroup in cgroups_of(session, instance_id):
            assert cgroup.startswith(f"/{name}")


async def test_slice_without_memory_kills(runtime_dir: Path) -> None:
    """When the slice's memory is gone the kernel kills a VM, and that is what its failure says."""
    async with sliced(runtime_dir, memory_bytes=300 * MIB) as (session, _):
        await session.launch(PAYLOAD, 3)
        failures = [change.failure for change in session.changes if change.failure]
        assert failures
        assert {failure.kind for failure in failures} == {"oom_killed"}


async def test_nothing_answers(runtime_dir: Path) -> None:
    """Without a daemon the engine cannot be entered, and says where it looked and how to get one."""
    async with context_in(runtime_dir) as context:
        with pytest.raises(EngineUnavailable, match=r"/nowhere/sock.*apt-get install libvirt"):
            async with LibvirtEngine(context, uri="qemu+unix:///system?socket=/nowhere/sock"):
                pass


async def test_thousand_domains(runtime_dir: Path) -> None:
    """A thousand at once are all created, ready and removed; libvirt's own hypervisor makes that cheap."""
    async with opened(runtime_dir, "test:///default") as session:
        ids = await session.launch(BARE, 1000)
        await session.engine.stop(ids)
        for each in ids:
            await session.until(each, Phase.REMOVED)
        assert await session.leftovers() == ()
