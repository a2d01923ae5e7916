"""Real ceilings of virtual machines, each induced on a real libvirt and named by the verdict."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from attribution.conftest import Attribute
from attribution.induced import RAMP
from engines.contract import short_directory
from support.libvirtd import libvirtd

pytestmark = [pytest.mark.libvirt, pytest.mark.root]

SAFE = RAMP.replace('"failure"', '"safe"')


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
    """A daemon that may open 110 files has some 30 of its own and keeps 4 for each machine."""
    with libvirtd(directory, files=110) as uri:
        attribute(
            vm(uri),
            expect="files.process",
            subject="libvirtd",
            evidence=["[Tt]oo many open files", r"stood at (9|10)\d of 110 files"],
            fix="LimitNOFILE",
            counts=(10, 25),
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
