"""A disk that a PC's BIOS boots, from a file tree, without mounting anything: GRUB, and one ext4 file system."""

import struct
import uuid
from pathlib import Path

from anyio.to_thread import run_sync

from density.errors import DensityError
from density.payload.images.tools import BOOT_SECTOR, publish, run, scratch_beside

SIZE_BYTES = 4 * 2**30
"""What the guest sees; the file has what is written alone."""
SECTOR = 512
FIRST_SECTOR = 2048
"""Where the file system begins; GRUB is in the sectors before it, behind the first."""

ROOT_DEVICE = "/dev/vda1"
GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux")
GRUB_COMMANDS = f"""\
set root=(hd0,msdos1)
linux /vmlinuz root={ROOT_DEVICE} ro console=ttyS0 quiet
initrd /initrd.img
boot
"""
"""Debian keeps these two links on its newest kernel."""

FEATURES = (
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,"
    "extra_isize,metadata_csum"
)
"""Named, because newer tools turn on by default what GRUB 2.06 cannot read."""
_TABLE, _SIGNATURE = 446, 510
_LINUX, _ACTIVE = 0x83, 0x80
_NO_CYLINDERS = b"\xfe\xff\xff"


def boot_sectors(boot: bytes, core: bytes, *, disk_bytes: int = SIZE_BYTES) -> bytes:
    """The disk up to its file system: GRUB's first sector with a partition table of one entry, then GRUB itself.

    Raises:
        DensityError: GRUB does not fit before the file system, or its first sector is none.
    """
    if len(boot) != SECTOR:
        raise DensityError(f"GRUB's boot sector has {len(boot)} bytes, not {SECTOR}")
    if len(core) > (FIRST_SECTOR - 1) * SECTOR:
        raise DensityError(f"GRUB has {len(core)} bytes; there is room for {(FIRST_SECTOR - 1) * SECTOR}")
    entry = struct.pack(
        "<B3sB3sII", _ACTIVE, _NO_CYLINDERS, _LINUX, _NO_CYLINDERS, FIRST_SECTOR, disk_bytes // SECTOR - FIRST_SECTOR
    )
    # GRUB's file has code for floppies where the table is, which would be taken for three more entries.
    return boot[:_TABLE] + entry.ljust(_SIGNATURE - _TABLE, b"\0") + b"\x55\xaa" + core


async def make_disk(tree: Path, scratch: Path, *, label: str, identity: uuid.UUID) -> Path:
    """A qcow2 image in `scratch` whose file system has this tree.

    Raises:
        DensityError: a tool failed; in its own words.
    """
    core, commands, raw, disk = (scratch / name for name in ("core.img", "grub.cfg", "disk.raw", "disk.qcow2"))
    commands.write_text(GRUB_COMMANDS)
    prefix = ("--prefix", "(hd0,msdos1)/boot/grub")
    await run(
        ("grub-mkimage", "--format=i386-pc", "--output", str(core), "--config", str(commands), *prefix, *GRUB_MODULES)
    )
    await run_sync(_sized, raw)
    await run(
        (
            *("mke2fs", "-q", "-F", "-t", "ext4", "-O", FEATURES, "-L", label, "-U", str(identity), "-m", "0"),
            # Nothing is left for the guest to initialise, which each would do again in its own overlay.
            *("-J", "size=16", "-E", f"offset={FIRST_SECTOR * SECTOR},lazy_itable_init=0,hash_seed={identity}"),
            *("-d", str(tree), str(raw), f"{(SIZE_BYTES - FIRST_SECTOR * SECTOR) // 1024}k"),
        )
    )
    await run_sync(_begun, raw, core)
    await run(("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(disk)))
    return disk


async def write_copy(image: Path, path: Path) -> None:
    """A copy of a qcow2 image: raw where the name ends in .raw or .img, else qcow2.

    Raises:
        UsageError: nothing can be written there.
        DensityError: it could not be copied.
    """
    form = "raw" if path.suffix in {".raw", ".img"} else "qcow2"
    async with scratch_beside(path) as scratch:
        made = scratch / path.name
        await run(("qemu-img", "convert", "-f", "qcow2", "-O", form, str(image), str(made)))
        await run_sync(publish, made, path)


def _sized(raw: Path) -> None:
    with raw.open("wb") as file:
        file.truncate(SIZE_BYTES)


def _begun(raw: Path, core: Path) -> None:
    with raw.open("r+b") as file:
        file.write(boot_sectors(BOOT_SECTOR.read_bytes(), core.read_bytes()))
