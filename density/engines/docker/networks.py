"""What one Docker network has room for."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any

SHARED = frozenset({"none", "host"})
"""Networks on which an instance gets neither an address nor a port of a bridge."""
_POINT_TO_POINT = 31
"""From this length on, a subnet has neither an address of its own nor one for broadcasts (RFC 3021)."""


def parse_bridge(network: Mapping[str, Any]) -> str:
    """The bridge device behind a network, from the daemon's description; empty where it has none."""
    if network.get("Driver") != "bridge":
        return ""
    named: str = (network.get("Options") or {}).get("com.docker.network.bridge.name", "")
    return named or f"br-{network['Id'][:12]}"


def parse_used(network: Mapping[str, Any]) -> int:
    """How many IPv4 addresses of a network are in use by containers."""
    endpoints = (network.get("Containers") or {}).values()
    return len({endpoint["IPv4Address"].partition("/")[0] for endpoint in endpoints if endpoint.get("IPv4Address")})


def parse_usable(network: Mapping[str, Any]) -> int | None:
    """How many more IPv4 addresses a network can give out; None where it gives out none at all.

    Whatever its driver: bridge, macvlan, ipvlan and overlay take them from the same pools. Of each subnet (or the range
    within it that Docker may use) the network's own address, the broadcast, the gateway, the reserved ones and those in
    use are gone.
    """
    pools = [pool for pool in (network.get("IPAM") or {}).get("Config") or [] if "." in pool.get("Subnet", "")]
    if not pools:
        return None
    return max(0, sum(map(_pool_size, pools)) - parse_used(network))


def _pool_size(pool: Mapping[str, Any]) -> int:
    subnet = _network(pool["Subnet"])
    given = _network(pool.get("IPRange") or pool["Subnet"])
    if subnet.subnet_of(given):
        given = subnet
    free = given.num_addresses - sum(address in given for address in set(_taken(pool, subnet)))
    # For a gateway that it was not told, Docker takes one of those that it may give out.
    return free if pool.get("Gateway") else max(0, free - 1)


def _taken(pool: Mapping[str, Any], subnet: IPv4Network) -> Iterator[IPv4Address]:
    if subnet.prefixlen < _POINT_TO_POINT:
        yield subnet.network_address
        yield subnet.broadcast_address
    if gateway := pool.get("Gateway"):
        yield _address(gateway)
    yield from map(_address, (pool.get("AuxiliaryAddresses") or {}).values())


def _network(text: str) -> IPv4Network:
    """A network as Docker takes it, which may be written as any address in it."""
    found = ip_network(text, strict=False)
    assert isinstance(found, IPv4Network)
    return found


def _address(text: str) -> IPv4Address:
    found = ip_address(text.partition("/")[0])
    assert isinstance(found, IPv4Address)
    return found
