"""What one Docker network has room for."""

from collections.abc import Mapping
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

SHARED = frozenset({"none", "host"})
"""Networks on which an instance gets neither an address nor a port of a bridge."""


def parse_bridge(network: Mapping[str, Any]) -> str:
    """The bridge device behind a network, from the daemon's description; empty where it has none."""
    if network.get("Driver") != "bridge":
        return ""
    named: str = (network.get("Options") or {}).get("com.docker.network.bridge.name", "")
    return named or f"br-{network['Id'][:12]}"


def parse_usable(network: Mapping[str, Any]) -> int | None:
    """How many more IPv4 addresses a network can give out; None where it gives out none at all.

    Of each subnet (or the range within it that Docker may use) the network's own address, the broadcast, the gateway,
    the reserved ones and those in use are gone.
    """
    pools = [pool for pool in (network.get("IPAM") or {}).get("Config") or [] if "." in pool.get("Subnet", "")]
    if not pools:
        return None
    used = {
        endpoint["IPv4Address"].partition("/")[0]
        for endpoint in (network.get("Containers") or {}).values()
        if endpoint.get("IPv4Address")
    }
    return max(0, sum(map(_pool_size, pools)) - len(used))


def _pool_size(pool: Mapping[str, Any]) -> int:
    subnet = ip_network(pool["Subnet"])
    given = ip_network(pool.get("IPRange") or pool["Subnet"])
    assert isinstance(subnet, IPv4Network)
    assert isinstance(given, IPv4Network)
    # Docker falls back to the subnet's first address for a gateway that it was not told.
    taken = {str(subnet.network_address), str(subnet.broadcast_address), pool.get("Gateway") or str(subnet[1])}
    taken |= set((pool.get("AuxiliaryAddresses") or {}).values())
    return given.num_addresses - sum(ip_address(address.partition("/")[0]) in given for address in taken)
