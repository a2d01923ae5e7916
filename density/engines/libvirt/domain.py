"""Domain XML: written from a `Domain`, and our mark read back from it. Pure."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from density.errors import UsageError
from density.model import DiskIo
from density.payload.guests import Guest
from density.payload.guests.disk import Layer

NAMESPACE = "urn:density:instance"
"""Namespace of the metadata element that marks our domains: `<instance run=RUN id=INSTANCE/>`."""

ET.register_namespace("density", NAMESPACE)

_UNSAYABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML cannot carry most control characters or half a character, and libvirt's schema has no lines in names or paths."""

_ID = re.compile(r"[A-Za-z0-9-]+")

Hypervisor = Literal["kvm", "qemu", "lxc", "test"]
TB_CACHE_MIB = 16
"""TCG's cache of translated code. Measured with the payload guest: as fast to ready as with QEMU's default, and 25 MiB
less memory a VM; 8 MiB save 10 more but the guest's boot has to be translated twice in parts."""
CPU_PERIOD_US = 100_000
"""Over which a container's CPU time is limited; the kernel's own default."""
WHOLE_TB_CACHE_MIB = 64
"""The same for a whole operating system. Measured with Debian 12: ready in 39 s, against 60 to 84 s with 16 MiB and
35 s with QEMU's default, at 54 MiB more memory than the first and 305 MiB less than the second."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a domain is."""

    run_id: str
    instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a container of libvirt's LXC driver runs.

    Attributes:
        path, arguments: its first process; the path as seen inside.
        views: directories of the host that it sees: path inside -> path outside; its `/` first.
        written: the views that it may write to.
        cpus: how many CPUs' time it may take; 0: no limit.
    """

    path: str
    arguments: tuple[str, ...]
    views: Mapping[str, Path]
    written: frozenset[str] = frozenset()
    cpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Everything that a VM, or a container of libvirt's, is made from.

    Attributes:
        hypervisor: `lxc` makes containers; `test` is libvirt's own in-process one, which has no devices.
        cpu: a mode or a model of `<cpu>`; empty: QEMU's default.
        disk: what it boots from instead of the guest's own image: an overlay.
        disk_io: how QEMU reads and writes the overlay.
        command_line: of the guest's kernel.
        serial: the socket that its serial port connects to; None: no port.
        agent: it has a port for the guest agent.
        network: `none`, `user` or a libvirt network.
        partition: the cgroup that libvirt puts it into; empty: libvirt's default.
        dac: whether libvirt guards files by their owner, and would change that of those which are named here.
        program: what a container runs, where a VM boots its guest.
    """

    name: str
    mark: Mark
    hypervisor: Hypervisor
    guest: Guest
    vcpus: int = 1
    cpu: str = ""
    disk: Path | None = None
    disk_io: DiskIo = "threads"
    command_line: str = ""
    serial: Path | None = None
    agent: bool = False
    network: str = "none"
    partition: str = ""
    dac: bool = True
    program: Program | None = None


def domain_xml(domain: Domain) -> str:
    """The domain as libvirt wants it: no USB, video, sound, balloon or graphics, which cost memory and start time.

    Raises:
        UsageError: a path or a name has a character that XML cannot carry, or libvirt does not take.
    """
    root = ET.Element("domain", type=domain.hypervisor)
    _text(root, "name", domain.name)
    metadata = ET.SubElement(root, "metadata")
    ET.SubElement(metadata, f"{{{NAMESPACE}}}instance", run=domain.mark.run_id, id=domain.mark.instance_id)
    _text(root, "memory", str(domain.guest.memory_bytes // 1024), unit="KiB")
    _text(root, "vcpu", str(domain.vcpus))
    if domain.partition:
        _text(ET.SubElement(root, "resource"), "partition", domain.partition)
    if domain.program:
        _container(root, domain, domain.program)
    elif domain.hypervisor == "test":
        _text(ET.SubElement(root, "os"), "type", "hvm")
    else:
        _machine(root, domain)
    _refuse_unsayable(root)
    return ET.tostring(root, encoding="unicode")


def parse_mark(xml: str) -> Mark | None:
    """Whose a domain is, from its metadata element; None where that is not ours, or names what is no id but a path."""
    element = ET.fromstring(xml)  # noqa: S314 — libvirt's own words, from a socket that only root serves
    run_id, instance_id = element.get("run", ""), element.get("id", "")
    return Mark(run_id, instance_id) if _ID.fullmatch(run_id) and _ID.fullmatch(instance_id) else None


def _refuse_unsayable(root: ET.Element) -> None:
    for element in root.iter():
        for words in (element.text or "", *element.attrib.values()):
            if _UNSAYABLE.search(words):
                raise UsageError(f"libvirt takes no control characters and no bytes that are not text, as in {words!r}")


def _container(root: ET.Element, domain: Domain, program: Program) -> None:
    if program.cpus:
        limit = ET.SubElement(root, "cputune")
        _text(limit, "period", str(CPU_PERIOD_US))
        _text(limit, "quota", str(round(program.cpus * CPU_PERIOD_US)))
    first = ET.SubElement(root, "os")
    _text(first, "type", "exe")
    _text(first, "init", program.path)
    for argument in program.arguments:
        _text(first, "initarg", argument)
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "capabilities", policy="deny")
    if domain.network == "none":
        ET.SubElement(features, "privnet")  # without it the host's own network is seen
    devices = ET.SubElement(root, "devices")
    for inside, outside in program.views.items():
        view = ET.SubElement(devices, "filesystem", type="mount")
        ET.SubElement(view, "source", dir=str(outside))
        ET.SubElement(view, "target", dir=inside)
        if inside not in program.written:
            ET.SubElement(view, "readonly")
    _interface(devices, domain)
    ET.SubElement(devices, "console", type="pty")


def _machine(root: ET.Element, domain: Domain) -> None:
    _boot(root, domain)
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")  # the payload ends its machine by it
    if domain.hypervisor == "qemu":
        cache = WHOLE_TB_CACHE_MIB if domain.guest.overlay else TB_CACHE_MIB
        _text(ET.SubElement(features, "tcg"), "tb-cache", str(cache), unit="MiB")
    _cpu(root, domain.cpu)
    _text(root, "on_poweroff", "destroy")
    _text(root, "on_reboot", "restart" if domain.guest.overlay else "destroy")
    _text(root, "on_crash", "destroy")
    _devices(ET.SubElement(root, "devices"), domain)
    if domain.dac:  # which a user's own daemon does not do, and refuses to hear of
        # Shared files and our sockets keep their owner; QEMU still runs as libvirt's user.
        ET.SubElement(root, "seclabel", type="none", model="dac")


def _boot(root: ET.Element, domain: Domain) -> None:
    boot = ET.SubElement(root, "os")
    _text(boot, "type", "hvm", arch="x86_64", machine="pc")
    if domain.guest.kernel and domain.guest.initramfs:
        _text(boot, "kernel", str(domain.guest.kernel))
        _text(boot, "initrd", str(domain.guest.initramfs))
        _text(boot, "cmdline", domain.command_line)
    else:
        ET.SubElement(boot, "boot", dev="hd")


def _cpu(root: ET.Element, cpu: str) -> None:
    if cpu == "host-passthrough":
        ET.SubElement(root, "cpu", mode=cpu, check="none")
    elif cpu:
        element = ET.SubElement(root, "cpu", mode="custom", match="exact", check="none")
        _text(element, "model", cpu)


def _devices(devices: ET.Element, domain: Domain) -> None:
    ET.SubElement(devices, "controller", type="usb", model="none")
    if domain.guest.disk:
        _disk(devices, domain)
    if domain.serial:
        serial = ET.SubElement(devices, "serial", type="unix")
        ET.SubElement(serial, "source", mode="connect", path=str(domain.serial))
        ET.SubElement(serial, "target", port="0")
    if domain.agent:
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    _interface(devices, domain)
    ET.SubElement(devices, "memballoon", model="none")


def _disk(devices: ET.Element, domain: Domain) -> None:
    assert domain.guest.disk
    disk = ET.SubElement(devices, "disk", type="file", device="disk")
    source = domain.disk or domain.guest.disk
    driver = ET.SubElement(disk, "driver", name="qemu", type="qcow2" if domain.disk else domain.guest.disk_format)
    if domain.disk:
        driver.set("io", domain.disk_io)
        if domain.disk_io == "native":
            driver.set("cache", "none")  # libvirt takes native only where the page cache is passed by
    ET.SubElement(disk, "source", file=str(source))
    if domain.disk:
        # Said here, or libvirt has to open the overlay to find out.
        _backing(disk, (Layer(domain.guest.disk, domain.guest.disk_format), *domain.guest.below))
    ET.SubElement(disk, "target", dev="vda", bus="virtio")
    if not domain.disk:
        ET.SubElement(disk, "readonly")


def _backing(above: ET.Element, layers: Sequence[Layer]) -> None:
    """Every image below, down to the empty element that ends the chain: QEMU reads through to none that is not here."""
    if not layers:
        ET.SubElement(above, "backingStore")
        return
    nearest, *below = layers
    backing = ET.SubElement(above, "backingStore", type="file")
    ET.SubElement(backing, "format", type=nearest.format)
    ET.SubElement(backing, "source", file=str(nearest.path))
    _backing(backing, below)


def _interface(devices: ET.Element, domain: Domain) -> None:
    if domain.network == "none":
        return
    if domain.network == "user":
        interface = ET.SubElement(devices, "interface", type="user")
    else:
        interface = ET.SubElement(devices, "interface", type="network")
        ET.SubElement(interface, "source", network=domain.network)
    if not domain.program:
        ET.SubElement(interface, "model", type="virtio")


def _text(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = text
