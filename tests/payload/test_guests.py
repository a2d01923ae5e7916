"""The guests' files: archive, boot sector, command line, needs, disk images."""

import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.users import NOBODY, as_user

from density.errors import UsageError
from density.model import GuestName, Workload
from density.payload.guests import NEEDS, command_line, disk, make_guest, memory_bytes
from density.payload.guests.bootsector import IMAGE_BYTES, SAYS, boot_image, boot_sector
from density.payload.guests.cpio import archive, character_device, directory, program
from density.payload.guests.disk import Layer, image_chain, make_overlay, parse_chain
from density.payload.guests.files import keep
from density.payload.guests.initramfs import build_initramfs

MIB = 2**20
QEMU = 64055
"""As Debian numbers the user of QEMU."""


def members(data: bytes) -> list[tuple[str, int, bytes]]:
    """Name, mode and content of each member of a newc archive."""
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * each : at + 14 + 8 * each], 16) for each in range(13)]
        size, name_size = fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        begin = at + (110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found.append((name, fields[1], data[begin : begin + size]))
        at = begin + (size + 3) // 4 * 4


def test_archive_reads_back() -> None:
    """What is put into an archive comes out of it, whatever the sizes, and the archive fills whole blocks."""
    data = archive([directory("dev"), character_device("dev/console", 5, 1), program("init", b"12345")])
    assert members(data) == [
        ("dev", stat.S_IFDIR | 0o755, b""),
        ("dev/console", stat.S_IFCHR | 0o600, b""),
        ("init", stat.S_IFREG | 0o755, b"12345"),
    ]
    assert len(data) % 512 == 0


def test_initramfs_is_reproducible() -> None:
    """The same payload gives the same initramfs, so that the cache can be asked by its hash."""
    assert build_initramfs(b"payload") == build_initramfs(b"payload")


def test_boot_sector_is_bootable() -> None:
    """A BIOS takes it: 512 bytes with the signature; and its jumps and its text are where the code says."""
    sector = boot_sector()
    assert len(sector) == 512
    assert sector[510:] == b"\x55\xaa"
    text = int.from_bytes(sector[7:9], "little") - 0x7C00
    assert sector[text:].startswith(SAYS.encode() + b"\n\0")
    assert len(boot_image()) == IMAGE_BYTES


def test_command_line() -> None:
    """The kernel gets its words before `--`, the payload its own after it; no load is said by saying nothing."""
    idle = Workload(name="vm", engine="libvirt")
    line = command_line(idle, "vm-00001", "20261124-1", lease_seconds=30.0)
    assert line == ("console=ttyS0 quiet panic=-1 -- --id vm-00001 --run 20261124-1 --serial /dev/ttyS0 --lease 30")
    busy = Workload(name="vm", engine="libvirt", touch_bytes=MIB, burn=0.25)
    assert command_line(busy, "vm-00001", "r", lease_seconds=5.0).endswith("--touch 1048576 --burn 0.250000")


@pytest.mark.parametrize("guest", ["payload", "null", "disk"])
def test_memory_needs(guest: GuestName) -> None:
    """Nothing said is the guest's default; the least is accepted; less is refused with both numbers."""
    assert memory_bytes(Workload(name="vm", engine="libvirt", guest=guest)) == NEEDS[guest].default_bytes
    least = NEEDS[guest].least_bytes
    assert memory_bytes(Workload(name="vm", engine="libvirt", guest=guest, memory_bytes=least)) == least
    with pytest.raises(UsageError, match=r"vm: memory is .*, and the guest .* needs .* to start"):
        memory_bytes(Workload(name="vm", engine="libvirt", guest=guest, memory_bytes=least - MIB))


def test_cache_file_is_readable_and_kept(tmp_path: Path) -> None:
    """A file of the cache can be read by everybody, and is not written again."""
    path = keep(tmp_path / "cache" / "name", b"first")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert keep(path, b"second").read_bytes() == b"first"
    assert [each.name for each in path.parent.iterdir()] == ["name"]


@pytest.mark.anyio
async def test_null_guest_needs_no_kernel(tmp_path: Path) -> None:
    """The null guest is one file of ours, shared by all its VMs."""
    guest = await make_guest(Workload(name="vm", engine="libvirt", guest="null"), tmp_path)
    assert guest.disk is not None
    assert guest.disk.read_bytes() == boot_image()
    assert not guest.overlay
    assert guest.files == (guest.disk,)


def qemu_img(*words: object) -> None:
    """Make an image, or write into one."""
    subprocess.run(["qemu-img", *map(str, words)], check=True)


def chain(directory: Path) -> tuple[Path, Path, Path]:
    """A qcow2 on a qcow2 on a raw image, named as people do: relative to the one above."""
    base, middle, top = directory / "base.raw", directory / "middle.qcow2", directory / "app.qcow2"
    qemu_img("create", "-q", "-f", "raw", base, "1M")
    qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.name, middle)
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", middle.name, top)
    return top, middle, base


@pytest.mark.anyio
@pytest.mark.tools("qemu-img")
async def test_a_disk_guest_is_its_whole_chain(tmp_path: Path) -> None:
    """Every image below is known with its format, however it is named in the one above; QEMU reads all of them."""
    top, middle, base = chain(tmp_path)
    found = image_chain(top)
    assert [(each.path, each.format) for each in found] == [(top, "qcow2"), (middle, "qcow2"), (base, "raw")]
    guest = await make_guest(Workload(name="vm", engine="libvirt", guest="disk", image=str(top)), tmp_path)
    assert (guest.disk, guest.disk_format) == (top, "qcow2")
    assert guest.below == found[1:]
    assert guest.disk_bytes == found[0].size_bytes > 0
    assert guest.files == (top, middle, base)


@pytest.mark.tools("qemu-img")
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_an_overlay_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    """Nobody else reads or writes it, nor lists its directory, whatever the umask; QEMU's user passes through."""
    _, _, base = chain(tmp_path)
    overlay = tmp_path / "disks" / "vm-00001.qcow2"
    before = os.umask(umask)
    try:
        make_overlay(overlay, base, base_format="raw", owner=None)
    finally:
        os.umask(before)
    assert (stat.S_IMODE(overlay.stat().st_mode), stat.S_IMODE(overlay.parent.stat().st_mode)) == (0o600, 0o711)


@pytest.mark.root
@pytest.mark.tools("qemu-img")
def test_an_overlay_is_opened_to_the_user_of_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by root, it is QEMU's own; made by another user, QEMU's user alone may use it beside its owner."""
    _, _, base = chain(tmp_path)
    for umbrella in (tmp_path, *tmp_path.parents):
        if umbrella.is_relative_to(tempfile.gettempdir()) and umbrella != Path(tempfile.gettempdir()):
            umbrella.chmod(0o711)
    base.chmod(0o644)
    overlay = tmp_path / "disks" / "vm-00001.qcow2"
    make_overlay(overlay, base, base_format="raw", owner=(QEMU, QEMU))
    assert (overlay.stat().st_uid, stat.S_IMODE(overlay.stat().st_mode)) == (QEMU, 0o600)
    overlay.unlink()
    with monkeypatch.context() as another:
        another.setattr(os, "geteuid", lambda: NOBODY + 1)
        make_overlay(overlay, base, base_format="raw", owner=(QEMU, QEMU))
    assert overlay.stat().st_uid == 0
    assert as_user(QEMU, lambda: os.access(overlay, os.R_OK | os.W_OK)) == "True"
    assert as_user(NOBODY, lambda: os.access(overlay, os.R_OK)) == "False"


def test_qemu_img_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that does not answer is an error of that one overlay, in words, and not the end of everything."""
    program = tmp_path / "qemu-img"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(disk, "SECONDS", 0.2)
    with pytest.raises(OSError, match=r"qemu-img create has not ended after 0\.2 s"):
        make_overlay(tmp_path / "disks" / "o", tmp_path, base_format="raw", owner=None)


@pytest.mark.tools("qemu-img")
def test_a_broken_chain_is_refused(tmp_path: Path) -> None:
    """An image below that is gone, closed or in a circle is the person's mistake; it is named."""
    top, middle, base = chain(tmp_path)
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=rf"below it, cannot be opened: qemu-img: Could not open '{base}': No such"):
        image_chain(top)
    qemu_img("rebase", "-u", "-F", "qcow2", "-b", top.name, middle)
    with pytest.raises(UsageError, match="infinite loop"):
        image_chain(top)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"format": "vmdk"}, "is in the format vmdk; allowed is qcow2 or raw"),
        ({"filename": "nbd://host/x"}, "nbd://host/x is no file"),
        ({"encrypted": True}, "is encrypted"),
        ({"format-specific": {"data": {"data-file": "ext.raw"}}}, r"keeps its data in ext\.raw"),
    ],
)
def test_layers_that_cannot_be_used(tmp_path: Path, said: dict[str, object], message: str) -> None:
    """Formats that QEMU knows and we do not use are refused, and so is what a VM could not boot from."""
    image = tmp_path / "a.img"
    image.touch()
    good = {"filename": str(image), "format": "qcow2"}
    assert parse_chain(json.dumps([good, good])) == (Layer(image, "qcow2"),) * 2
    with pytest.raises(UsageError, match=message):
        parse_chain(json.dumps([good, good | said]))


def test_missing_image_is_refused(tmp_path: Path) -> None:
    """A disk image that is not there is the person's mistake, in one sentence."""
    with pytest.raises(UsageError, match=r"nowhere\.img is not a file that can be read"):
        image_chain(tmp_path / "nowhere.img")
