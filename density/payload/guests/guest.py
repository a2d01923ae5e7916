"""What a VM boots: the three guests, as files and needs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from density.errors import UsageError
from density.model import GuestName, Workload
from density.payload.arguments import payload_arguments
from density.payload.guests.bootsector import boot_image
from density.payload.guests.disk import Layer, image_chain
from density.payload.guests.files import keep
from density.payload.guests.initramfs import payload_initramfs
from density.payload.guests.kernel import guest_kernel
from density.threads import in_thread
from density.units import format_bytes

SERIAL_DEVICE = "/dev/ttyS0"

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Needs:
    """Memory that a guest gets where nothing is said, and below which it does not start.

    Measured with QEMU 7.2: SeaBIOS and the null guest come up in 2 MiB, not in 1; Linux 6.1 with the payload in 72 MiB,
    not in 64, and a newer kernel is larger.
    """

    default_bytes: int
    least_bytes: int


NEEDS: dict[GuestName, Needs] = {
    "payload": Needs(128 * _MIB, 96 * _MIB),
    "null": Needs(16 * _MIB, 2 * _MIB),
    "disk": Needs(512 * _MIB, 16 * _MIB),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """What a VM boots.

    Attributes:
        name: which of the three.
        memory_bytes: what its VM gets.
        kernel, initramfs: files for QEMU to load; both or neither.
        disk: a disk image to boot from.
        disk_format: `raw` or `qcow2`.
        overlay: the disk is written to, so that each VM needs an overlay of its own.
        disk_bytes: how large the disk is to its VM, which may write all of it to its overlay.
        below: the images that the disk reads through to, the nearest first.
    """

    name: GuestName
    memory_bytes: int
    kernel: Path | None = None
    initramfs: Path | None = None
    disk: Path | None = None
    disk_format: str = "raw"
    overlay: bool = False
    disk_bytes: int = 0
    below: tuple[Layer, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that QEMU reads."""
        below = (layer.path for layer in self.below)
        return tuple(path for path in (self.kernel, self.initramfs, self.disk, *below) if path is not None)


async def make_guest(workload: Workload, cache_dir: Path, *, kernel: Path | None = None) -> Guest:
    """The workload's guest, with every file it needs.

    Args:
        cache_dir: where files are kept that outlive the run.
        kernel: for the payload guest; None: find one.

    Raises:
        UsageError: not enough memory, no kernel, no such disk image.
        EngineUnavailable: the payload cannot be compiled.
    """
    memory = memory_bytes(workload)
    match workload.guest:
        case "payload":
            initramfs = await payload_initramfs(cache_dir)
            found = await guest_kernel(cache_dir, explicit=kernel)
            return Guest(name="payload", memory_bytes=memory, kernel=found, initramfs=initramfs)
        case "null":
            image = await in_thread(_null_image, cache_dir)
            return Guest(name="null", memory_bytes=memory, disk=image)
        case _:
            return await in_thread(disk_guest, workload)


def memory_bytes(workload: Workload) -> int:
    """The RAM of this workload's VMs.

    Raises:
        UsageError: less than its guest needs, or no guest.
    """
    needs = NEEDS.get(workload.guest)
    if needs is None:
        raise UsageError(f"{workload.name}: a VM boots the guest {', '.join(NEEDS)}, not {workload.guest}")
    memory = workload.memory_bytes or needs.default_bytes
    if memory < needs.least_bytes:
        raise UsageError(
            f"{workload.name}: memory is {format_bytes(memory)}, and the guest {workload.guest} needs"
            f" {format_bytes(needs.least_bytes)} to start"
        )
    return memory


def command_line(workload: Workload, instance_id: str, run_id: str, *, lease_seconds: float) -> str:
    """The payload guest's kernel command line; the kernel hands what follows `--` to the payload."""
    controller = ("--serial", SERIAL_DEVICE, "--lease", f"{lease_seconds:g}")
    arguments = payload_arguments(workload, instance_id, run_id, *controller)
    return " ".join(["console=ttyS0", "quiet", "panic=-1", "--", *arguments])


def disk_guest(workload: Workload) -> Guest:
    """The guest `disk`. Blocks.

    Raises:
        UsageError: not enough memory, or no image that can be used.
    """
    top, *below = image_chain(Path(workload.image))
    return Guest(
        name="disk",
        memory_bytes=memory_bytes(workload),
        disk=top.path,
        disk_format=top.format,
        overlay=True,
        disk_bytes=top.size_bytes,
        below=tuple(below),
    )


def _null_image(cache_dir: Path) -> Path:
    image = boot_image()
    return keep(cache_dir / f"null-{hashlib.sha256(image).hexdigest()[:16]}", image)
