"""Domain XML: what libvirt's own schema says of it, and what it says of us."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from density.engines.base import EngineContext
from density.engines.libvirt.canary import KVM, LXC, TCG
from density.engines.libvirt.domain import NAMESPACE, Domain, Mark, Program, domain_xml, parse_mark
from density.engines.libvirt.machine import Machine, domain_of
from density.engines.libvirt.save import serial_path, with_serial
from density.errors import UsageError
from density.model import DiskIo, GuestName, Placement, Readiness, Workload
from density.payload.channel import Channel
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


@cache
def schema() -> etree.RelaxNG:
    """Libvirt's own, of its package."""
    return etree.RelaxNG(etree.parse(str(SCHEMA)))


@pytest.mark.libvirt
@pytest.mark.parametrize("variant", VARIANTS)
def test_schema(variant: str) -> None:
    """Every kind of domain is one by libvirt's schema, with nothing in it that libvirt would only ignore."""
    schema().assertValid(etree.fromstring(domain_xml(VARIANTS[variant]).encode()))


@pytest.mark.parametrize("variant", VARIANTS)
def test_mark_reads_back(variant: str) -> None:
    """Whose a domain is can be read from its metadata alone."""
    root = ET.fromstring(domain_xml(VARIANTS[variant]))  # noqa: S314 — written a line above
    element = root.find(f"metadata/{{{NAMESPACE}}}instance")
    assert element is not None
    assert parse_mark(ET.tostring(element, encoding="unicode")) == Mark("r", "vm-00001")


TEXTS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FFFF, exclude_categories=("C", "Zl", "Zp")), min_size=1
)
PATHS = TEXTS.map(lambda text: Path("/", text.strip("/") or "x"))
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True)
NETWORKS = st.sampled_from(["none", "user"]) | st.from_regex(r"[^\s/\x00-\x1f\x7f-\x9f]{1,20}", fullmatch=True)
LAYERS = st.builds(Layer, PATHS, st.sampled_from(["qcow2", "raw"]))
GUESTS = {
    "payload": st.builds(replace, st.just(PAYLOAD), kernel=PATHS, initramfs=PATHS),
    "null": st.builds(replace, st.just(NULL), disk=PATHS),
    "disk": st.builds(replace, st.just(LAYERED), disk=PATHS, below=st.lists(LAYERS, max_size=3).map(tuple)),
    "none": st.just(Guest(name="none", memory_bytes=16 * MIB)),
}
READY = {
    "disk": st.sampled_from([Readiness("console", "login:"), Readiness("guest-agent"), Readiness("tcp", "22")]),
}


@st.composite
def shapes(draw: st.DrawFn) -> Domain:
    """A domain of any workload that a profile can ask for, on a host where everything has any name."""
    kind: GuestName = draw(st.sampled_from(["payload", "null", "disk", "none"]))
    workload = Workload(
        name=draw(NAMES),
        engine="libvirt",
        guest=kind,
        cpus=draw(st.floats(0, 64)) if kind == "none" else draw(st.integers(0, 64)),
        touch_bytes=draw(st.integers(0, 2**40)),
        burn=draw(st.floats(0, 1)),
        ready=draw(READY.get(kind, st.just(Readiness("payload")))),
        network=draw(NETWORKS.filter(lambda name: (kind, name) != ("none", "user"))),
        disk_io=draw(st.sampled_from(get_args(DiskIo))),
    )
    guest = replace(draw(GUESTS[kind]), memory_bytes=draw(st.integers(2 * MIB, 2**44)))
    machine = Machine(
        workload=workload,
        guest=guest,
        accelerator=LXC if kind == "none" else draw(st.sampled_from([*KVM, TCG])),
        ready=workload.ready,
        owner=draw(st.none() | st.just((64055, 108))),
        root=draw(PATHS) if kind == "none" else None,
    )
    placed = draw(st.none() | st.just(Placement(docker_parents={}, libvirt_partition="/density1", procs_files=())))
    runtime_dir = draw(PATHS)
    context = EngineContext(
        run_id=draw(st.from_regex(r"[a-z0-9-]{1,24}", fullmatch=True)),
        runtime_dir=runtime_dir,
        data_dir=draw(PATHS),
        cache_dir=Path("/c"),
        channel=Channel(runtime_dir / "channel"),
        placement=placed,
    )
    serial = runtime_dir / "channel/s1" if machine.has_serial else None
    return domain_of(machine, f"{workload.name}-00001", context, serial=serial)


@pytest.mark.libvirt
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(domain=shapes())
def test_every_shape_is_valid_and_reads_back(domain: Domain) -> None:
    """Every workload's domain is one by libvirt's schema, and every path and name arrives as it was."""
    xml = domain_xml(domain)
    root = etree.fromstring(xml.encode())
    schema().assertValid(root)
    sources = [each.get("file") or each.get("dir") for each in root.iterfind("devices//source")]
    guest = domain.guest
    disks = [domain.disk, guest.disk, *(layer.path for layer in guest.below)] if guest.disk else []
    views = domain.program.views.values() if domain.program else []
    wanted = [str(path) for path in (*disks, *views) if path]
    assert [source for source in sources if source] == wanted
    assert root.findtext("os/kernel") == (str(guest.kernel) if guest.kernel else None)
    assert root.findtext("name") == domain.name
    network = root.find("devices/interface/source")
    assert (network.get("network") if network is not None else "") in {"", domain.network}
    port = root.find("devices/serial/source")
    assert (port.get("path") if port is not None else None) == (str(domain.serial) if domain.serial else None)


@pytest.mark.parametrize("text", ["/a\nb", "/a\x01b", "/a\x7f", "/a\udcffb", "/a\uffff"])
def test_what_xml_cannot_carry_is_refused(text: str) -> None:
    """Bytes that are no text, and control characters, in a path: one sentence, and nothing is asked of libvirt."""
    with pytest.raises(UsageError, match="libvirt takes no control characters"):
        domain_xml(replace(VARIANTS["disk"], disk=Path(text)))


def test_a_restored_vm_speaks_to_its_new_socket() -> None:
    """Also where the old one's path has characters that mean something to XML; nothing else is touched."""
    old = "/run/a&b<c>/s1"
    xml = domain_xml(replace(EMULATED, serial=Path(old), command_line=old))
    assert serial_path(xml) == old
    changed = with_serial(xml, old, "/run/a&b<c>/s2")
    assert serial_path(changed) == "/run/a&b<c>/s2"
    root = ET.fromstring(changed)  # noqa: S314 — written two lines above
    assert root.findtext("os/cmdline") == old


@pytest.mark.parametrize("words", ['run="r"', 'run="../../etc" id="vm-00001"', 'run="r" id="../x"', 'run="" id="x"'])
def test_strange_metadata_is_no_mark(words: str) -> None:
    """An element of our name without our words, or with a path in them, makes no domain ours: files go by these ids."""
    assert parse_mark(f'<instance xmlns="{NAMESPACE}" {words}/>') is None


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
