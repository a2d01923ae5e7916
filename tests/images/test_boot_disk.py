"""The disk that a BIOS boots."""

import struct
import uuid
from pathlib import Path

import pytest

from density.errors import DensityError
from density.payload.images.disk import FIRST_SECTOR, SECTOR, SIZE_BYTES, boot_sectors, make_disk, write_copy
from density.payload.images.tools import FOR_DISKS, run

BOOT = bytes([0xEB, 0x63]) + b"\x90" * 508 + b"\x55\xaa"


@pytest.fixture
def anyio_backend() -> str:
    """Tools are run as children, which is the same on every loop."""
    return "asyncio"


def test_one_partition_behind_grub() -> None:
    """The table has one active Linux partition up to the disk's end, and three empty entries."""
    sectors = boot_sectors(BOOT, b"core" * 1000)
    active, kind, first, count = struct.unpack("<B3xB3xII", sectors[446:462])
    assert (active, kind, first) == (0x80, 0x83, FIRST_SECTOR)
    assert (first + count) * SECTOR == SIZE_BYTES
    assert sectors[462:510] == bytes(48)
    assert sectors[510:512] == b"\x55\xaa"


def test_grub_itself_is_kept() -> None:
    """Its first sector up to the table, and all of the rest from the second sector on, which is where it looks."""
    sectors = boot_sectors(BOOT, b"core" * 1000)
    assert sectors[:446] == BOOT[:446]
    assert sectors[SECTOR:] == b"core" * 1000


def test_grub_has_to_fit() -> None:
    """Else it would be written into the file system."""
    boot_sectors(BOOT, bytes((FIRST_SECTOR - 1) * SECTOR))
    with pytest.raises(DensityError, match="there is room for 1048064"):
        boot_sectors(BOOT, bytes((FIRST_SECTOR - 1) * SECTOR + 1))
    with pytest.raises(DensityError, match="boot sector has 511 bytes"):
        boot_sectors(BOOT[:-1], b"")


@pytest.mark.anyio
@pytest.mark.tools(*(tool for tool in FOR_DISKS[1:] if not Path(tool).is_file()))
async def test_a_tree_becomes_a_disk(tmp_path: Path) -> None:
    """Nothing is mounted; a copy whose name says so is raw, with a partition that holds a sound ext4 with the tree."""
    tree = tmp_path / "tree"
    (tree / "boot").mkdir(parents=True)
    (tree / "boot" / "hello").write_text("world")
    disk = await make_disk(tree, tmp_path, label="test", identity=uuid.UUID(int=7))
    raw = tmp_path / "copies" / "copy.raw"
    await write_copy(disk, raw)
    assert [path.name for path in raw.parent.iterdir()] == ["copy.raw"]
    with raw.open("rb") as file:
        assert file.read(SECTOR)[510:] == b"\x55\xaa"
    inside = f"{raw}?offset={FIRST_SECTOR * SECTOR}"
    await run(("e2fsck", "-fn", inside))
    assert await run(("debugfs", "-R", "cat /boot/hello", inside)) == "world"
