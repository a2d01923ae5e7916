"""libvirt networks: which bridge one is, and how many addresses it gives out."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import libvirt

from density.errors import UsageError


@dataclass(frozen=True, slots=True)
class Network:
    """A libvirt network.

    Attributes:
        bridge: the device that instances plug into; empty where there is none.
        addresses: how many its DHCP ranges have; 0: it gives out none.
    """

    bridge: str
    addresses: int


def parse_network(xml: str) -> Network:
    """A network from libvirt's description of it."""
    root = ET.fromstring(xml)  # noqa: S314 — libvirt's own words, from a socket that only root serves
    bridge = root.find("bridge")
    ranges = root.iterfind("ip/dhcp/range")
    return Network(
        bridge=bridge.get("name", "") if bridge is not None else "",
        addresses=sum(_size(each.get("start", ""), each.get("end", "")) for each in ranges),
    )


def find_network(connection: libvirt.virConnect, name: str) -> Network:
    """An active network, by name. Blocks.

    Raises:
        UsageError: there is none, or it is not active.
        libvirt.libvirtError: libvirt said no to something else.
    """
    try:
        network = connection.networkLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_NETWORK:
            raise
        names = ", ".join(sorted(each.name() for each in connection.listAllNetworks())) or "none"
        raise UsageError(f"there is no libvirt network {name}; there are: {names}") from error
    if not network.isActive():
        raise UsageError(f"the libvirt network {name} is not active; start it with: virsh net-start {name}")
    return parse_network(network.XMLDesc())


def check_bridge(network: Network, name: str, *, devices: Path = Path("/sys/class/net")) -> None:
    """Make sure that the bridge which a network names is there: libvirt calls a network active without looking.

    Raises:
        UsageError: it is not.
    """
    if network.bridge and not (devices / network.bridge).exists():
        raise UsageError(
            f"the libvirt network {name} plugs VMs into the bridge {network.bridge}, which this host does not have;"
            f" make it with: ip link add {network.bridge} type bridge"
        )


def _size(start: str, end: str) -> int:
    return int(ip_address(end)) - int(ip_address(start)) + 1
