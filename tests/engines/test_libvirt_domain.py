"""Domain XML: what libvirt's own schema says of it, and what it says of us."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from density.engines.libvirt.domain import NAMESPACE, Domain, Mark, Program, domain_xml, parse_mark
from density.model import DiskIo
from density.payload.guests import Guest
from density.payload.guests.disk import Layer

MIB = 2**20
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")

PAYLOAD = Guest(name="payload", memory_bytes=128 * MIB, kernel=Path("/k"), initramfs=Path("/i"))
NULL = Guest(name="null", memory_bytes=16 * MIB, disk=Path("/n"))
DISK = Guest(name="disk", memory_bytes=512 * MIB, disk=Path("/d"), disk_format="raw", overlay=True)
LAYERED = replace(DISK, disk_format="qcow2", below=(Layer(Path("/m"), "qcow2"), Layer(Path("/b"), "raw")))
BARE = Guest(name="null", memory_bytes=16 * MIB)

PROGRAM = Program(
    path="/p",
    arguments=("--id", "vm-00001"),
    views={"/": Path("/root"), "/channel": Path("/c"), "/errors": Path("/e")},
    written=frozenset({"/errors"}),
)

EMULATED = Domain(
    name="density-r-vm-00001",
    mark=Mark("r", "vm-00001"),
    hypervisor="qemu",
    guest=PAYLOAD,
    command_line="quiet -- --id vm-00001",
    serial=Path("/run/s1"),
)
CONTAINER = replace(EMULATED, hypervisor="lxc", guest=BARE, serial=None, command_line="", program=PROGRAM)
VARIANTS = {
    "payload": EMULATED,
    "kvm": replace(EMULATED, hypervisor="kvm", cpu="host-passthrough", vcpus=2, partition="/density1"),
    "kvm64": replace(EMULATED, hypervisor="kvm", cpu="kvm64"),
    "null": replace(EMULATED, guest=NULL, command_line=""),
    "disk": replace(EMULATED, guest=DISK, disk=Path("/o.qcow2"), agent=True, network="user", command_line=""),
    "layers": replace(EMULATED, guest=LAYERED, disk=Path("/o.qcow2"), command_line=""),
    "network": replace(EMULATED, network="default"),
    "container": CONTAINER,
    "container with CPUs": replace(CONTAINER, program=replace(PROGRAM, cpus=2)),
    "container with a network": replace(CONTAINER, network="default"),
    "test": replace(EMULATED, hypervisor="test", guest=BARE, serial=None, command_line=""),
}


@pytest.mark.libvirt
@pytest.mark.parametrize("variant", VARIANTS)
def test_schema(variant: str) -> None:
    """Every kind of domain is one by libvirt's schema, with nothing in it that libvirt would only ignore."""
    schema = etree.RelaxNG(etree.parse(str(SCHEMA)))
    schema.assertValid(etree.fromstring(domain_xml(VARIANTS[variant]).encode()))


@pytest.mark.parametrize("variant", VARIANTS)
def test_mark_reads_back(variant: str) -> None:
    """Whose a domain is can be read from its metadata alone."""
    root = ET.fromstring(domain_xml(VARIANTS[variant]))  # noqa: S314 — written a line above
    element = root.find(f"metadata/{{{NAMESPACE}}}instance")
    assert element is not None
    assert parse_mark(ET.tostring(element, encoding="unicode")) == Mark("r", "vm-00001")


def test_strange_metadata_is_no_mark() -> None:
    """An element of our name without our words makes no domain ours."""
    assert parse_mark(f'<instance xmlns="{NAMESPACE}" run="r"/>') is None


def test_words_are_escaped() -> None:
    """Characters that mean something to XML arrive as they were."""
    strange = replace(EMULATED, command_line='a<b>&"c" -- --id x', serial=Path("/run/a&b"))
    root = ET.fromstring(domain_xml(strange))  # noqa: S314 — written a line above
    assert root.findtext("os/cmdline") == 'a<b>&"c" -- --id x'
    source = root.find("devices/serial/source")
    assert source is not None
    assert source.get("path") == "/run/a&b"


def test_only_an_overlay_is_written_to() -> None:
    """What VMs share is read-only; a VM that writes has its own file, which names the one below it."""
    shared = ET.fromstring(domain_xml(VARIANTS["null"]))  # noqa: S314 — written a line above
    assert shared.find("devices/disk/readonly") is not None
    own = ET.fromstring(domain_xml(VARIANTS["disk"]))  # noqa: S314 — written a line above
    assert own.find("devices/disk/readonly") is None
    paths = [element.get("file") for element in own.iterfind("devices/disk//source")]
    assert paths == ["/o.qcow2", "/d"]


@pytest.mark.parametrize(("disk_io", "cache"), [("threads", None), ("native", "none"), ("io_uring", None)])
def test_how_an_overlay_is_read(disk_io: DiskIo, cache: str | None) -> None:
    """As the profile says; Linux aio goes past the page cache, or libvirt refuses it."""
    domain = ET.fromstring(domain_xml(replace(VARIANTS["disk"], disk_io=disk_io)))  # noqa: S314 — written a line above
    driver = domain.find("devices/disk/driver")
    assert driver is not None
    assert (driver.get("io"), driver.get("cache")) == (disk_io, cache)


def test_containers_keep_to_themselves() -> None:
    """A container without a network does not see the host's; none writes to what all see, and none has a capability."""
    alone = ET.fromstring(domain_xml(VARIANTS["container"]))  # noqa: S314 — written a line above
    assert alone.find("features/privnet") is not None
    views = {
        view.find("target").get("dir"): view.find("readonly") is not None  # type: ignore[union-attr]
        for view in alone.iterfind("devices/filesystem")
    }
    assert views == {"/": True, "/channel": True, "/errors": False}
    capabilities = alone.find("features/capabilities")
    assert capabilities is not None
    assert (capabilities.get("policy"), len(capabilities)) == ("deny", 0)
    assert [word.text for word in alone.iterfind("os/initarg")] == ["--id", "vm-00001"]
    limited = ET.fromstring(domain_xml(VARIANTS["container with CPUs"]))  # noqa: S314 — written a line above
    assert (limited.findtext("cputune/period"), limited.findtext("cputune/quota")) == ("100000", "200000")


def test_disk_guests_may_reboot() -> None:
    """To our own guests a reboot is their end; an installed system may do it on its first boot."""
    ours = ET.fromstring(domain_xml(VARIANTS["payload"]))  # noqa: S314 — written a line above
    installed = ET.fromstring(domain_xml(VARIANTS["disk"]))  # noqa: S314 — written a line above
    assert (ours.findtext("on_reboot"), installed.findtext("on_reboot")) == ("destroy", "restart")


def test_the_whole_chain_is_named() -> None:
    """QEMU reads through to what the domain names and to nothing else: every image below is there, with its format."""
    root = ET.fromstring(domain_xml(VARIANTS["layers"]))  # noqa: S314 — written a line above
    backing, seen = root.find("devices/disk/backingStore"), []
    while backing is not None and len(backing):
        source = backing.find("source")
        assert source is not None
        seen.append((source.get("file"), [each.get("type") for each in backing.iterfind("format")]))
        backing = backing.find("backingStore")
    assert seen == [("/d", ["qcow2"]), ("/m", ["qcow2"]), ("/b", ["raw"])]
    assert backing is not None
