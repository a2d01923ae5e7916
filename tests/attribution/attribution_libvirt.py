"""Real ceilings of virtual machines, each induced on a real libvirt and named by the verdict."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from attribution.conftest import Attribute
from attribution.induced import RAMP, used
from attribution.lowering import lowered
from engines.contract import short_directory
from support.libvirtd import libvirtd

from density.payload.guests.bootsector import SAYS, boot_image

pytestmark = [pytest.mark.libvirt, pytest.mark.root]


def vm(uri: str = "", *, table: str = "", ramp: str = RAMP, more: str = 'guest = "null"') -> str:
    """A profile of machines that say ready and halt.

    They are emulated: a BIOS comes up in a tenth of a second then, also where KVM is itself emulated.

    Args:
        uri: of another daemon than the host's own.
        table: more tables of the profile.
        ramp: its table.
        more: more keys of the workload.
    """
    engines = f'[engines]\nlibvirt = "{uri}"\n' if uri else ""
    return f'{ramp}\n{engines}\n{table}\n[workloads.vm]\nengine = "libvirt"\naccelerator = "tcg"\n{more}\n'


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a daemon of our own lives; the paths of its sockets must be short."""
    with short_directory() as found:
        yield found


def test_open_files_of_libvirtd(attribute: Attribute, directory: Path) -> None:
    """A daemon that may open 150 files keeps 4 for each machine, and dies without: 64 stay free."""
    with libvirtd(directory, files=150) as uri:
        attribute(
            vm(uri),
            expect="files.process",
            subject="libvirtd",
            evidence=[r"of 150 \(reserve 64\)"],
            fix="LimitNOFILE",
        )


def test_open_files_of_virtlogd(attribute: Attribute, directory: Path) -> None:
    """The daemon that takes what QEMU prints keeps files open for each machine too."""
    with libvirtd(directory, log_files=56) as uri:
        attribute(
            vm(uri),
            expect="files.process",
            subject="virtlogd",
            evidence=[r"stood at 5\d of 56 files"],
            fix="LimitNOFILE",
        )


def test_memory_of_the_slice(attribute: Attribute) -> None:
    """A slice of 400 MiB holds a dozen emulated machines, then the kernel kills one of them."""
    attribute(
        vm(table='[slice]\nmemory = "400MiB"'),
        expect="memory.cgroup",
        subject="",
        evidence=[r"the kernel killed \d+ process(es)? in the slice", r"stood at .* of 400 MiB"],
        fix="`memory` in [slice]",
    )


def test_requests_of_linux_aio(attribute: Attribute, directory: Path) -> None:
    """A disk that QEMU reads by Linux aio asks the kernel for 1,024 requests, of which there are enough for a dozen."""
    image = directory / "boot.img"
    image.write_bytes(boot_image().replace(SAYS.encode(), b"disk is read!"))
    limit = used("aio.requests_count") + 12 * 1024
    more = f'guest = "disk"\nimage = "{image}"\nmemory = "16MiB"\nready = "console:disk is read"\ndisk_io = "native"'
    with lowered("fs.aio-max-nr", limit):
        attribute(
            vm(more=more),
            expect="aio.requests",
            evidence=["[Ff]ailed to create linux AIO context|failed to .*aio", rf"of {limit:,} requests"],
            fix="fs.aio-max-nr",
            counts=(8, 12),
        )


@pytest.mark.lxc
def test_terminals_of_lxc_containers(attribute: Attribute) -> None:
    """A container of libvirt's has two terminals, one on either side; of 24 there are enough for eleven."""
    kept = int(Path("/proc/sys/kernel/pty/reserve").read_text())
    profile = f'{RAMP}\n[engines]\nlibvirt = "lxc:///system"\n[workloads.lxc]\nengine = "libvirt"\nguest = "none"\n'
    with lowered("kernel.pty.max", kept + used("ptys.count") + 24):
        attribute(
            profile,
            expect="ptys",
            evidence=["Failed to allocate tty", "one more instance takes 2 of it", r"stood at \d+ of \d+ terminals"],
            fix="kernel.pty.max",
            counts=(11, 12),
        )
