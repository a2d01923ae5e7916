"""The ways in which a whole operating system is found to be ready, on a small one of our own that has them all."""

import uuid
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from engines.contract import short_directory
from engines.test_libvirt_engine import opened

from density.errors import CannotRun
from density.model import Phase, Readiness, Workload
from density.payload.guests.initramfs import build_initramfs
from density.payload.guests.packages import fetch_kernel
from density.payload.images.disk import make_disk
from density.payload.images.tools import FOR_DISKS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.libvirt,
    pytest.mark.root,
    pytest.mark.tools("cc", *(tool for tool in FOR_DISKS[1:] if not Path(tool).is_file())),
]

SOURCE = Path(__file__).with_name("guest.c")
DRIVERS = (
    "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
    "virtio_console", "failover", "net_failover", "virtio_net",
)  # fmt: skip
"""What QEMU's serial channels and network cards need, each after what it builds on."""
WAYS = {
    "said": Readiness("console", "guest is up"),
    "answered": Readiness("guest-agent"),
    "opened": Readiness("tcp", "80"),
    "closed": Readiness("tcp", "81"),
}


async def initramfs(kernel: Path) -> bytes:
    """The guest's program and drivers; the kernel is inside its unpacked package."""
    program = kernel.with_name("guest")
    await anyio.run_process(["cc", "-O1", "-static", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)])
    found = {path.stem: path.read_bytes() for path in (kernel.parents[1] / "lib/modules").rglob("*.ko")}
    return build_initramfs(
        program.read_bytes(),
        # What is not a file of its own is in the kernel itself.
        {f"{number}.ko": found[name] for number, name in enumerate([name for name in DRIVERS if name in found], 1)},
    )


@pytest.fixture
async def disk() -> AsyncGenerator[Path]:
    """A disk that boots the guest, where QEMU's user can read it."""
    with short_directory() as directory:
        tree, scratch = directory / "tree", directory / "scratch"
        for each in (tree, scratch):
            each.mkdir()
        async with fetch_kernel() as kernel:
            (tree / "vmlinuz").write_bytes(kernel.read_bytes())
            (tree / "initrd.img").write_bytes(await initramfs(kernel))
        made = await make_disk(tree, scratch, label="test", identity=uuid.UUID(int=7))
        scratch.chmod(0o711)
        made.chmod(0o644)
        yield made


async def test_each_way(disk: Path, runtime_dir: Path) -> None:
    """By its console, by its agent, by a port that is open: ready; by a port that is not open: never.

    QEMU accepts connections for the guest whether or not somebody listens there, so the last is the proof of the one
    before it. It is found out with the first VM, before any ramp.
    """
    ways = [
        Workload(name=name, engine="libvirt", guest="disk", image=str(disk), accelerator="tcg", network="user",
                 memory_bytes=128 * 2**20, ready=ready, ready_timeout_seconds=30.0 if name == "closed" else 120.0)
        for name, ready in WAYS.items()
    ]  # fmt: skip
    async with opened(runtime_dir) as session:
        *ready_ones, closed = ways
        for way in ready_ones:
            await session.prepare(way)
        ids = {way.name: session.new_id(way) for way in ready_ones}
        async with anyio.create_task_group() as group:
            for way in ready_ones:
                group.start_soon(session.engine.launch, way, ids[way.name])
            for each in ids.values():
                await session.until(each, Phase.READY)
        with pytest.raises(CannotRun, match="connection refused"):
            await session.prepare(closed)
