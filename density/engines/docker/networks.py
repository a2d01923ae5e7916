"""What one Docker network has room for."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network

from density.engines.docker.answers import DockerNetwork, Pool

SHARED = frozenset({"none", "host"})
"""Networks on which an instance gets neither an address nor a port of a bridge."""
_POINT_TO_POINT = 31
"""From this length on, a subnet has neither an address of its own nor one for broadcasts (RFC 3021)."""


def bridge_of(network: DockerNetwork) -> str:
    """The bridge device behind a network; empty where it has none."""
    if network.driver != "bridge":
        return ""
    return network.options.get("com.docker.network.bridge.name", "") or f"br-{network.id[:12]}"


def used_of(network: DockerNetwork) -> int:
    """How many IPv4 addresses of a network are in use by containers."""
    return len({member.address.partition("/")[0] for member in network.containers.values() if member.address})


def usable_of(network: DockerNetwork) -> int | None:
    """How many more IPv4 addresses a network can give out; None where it gives out none at all.

    Whatever its driver: bridge, macvlan, ipvlan and overlay take them from the same pools. Of each subnet (or the range
    within it that Docker may use) the network's own address, the broadcast, the gateway, the reserved ones and those in
    use are gone.
    """
    pools = [(pool, subnet) for pool in network.pools.config if (subnet := _network(pool.subnet))]
    if not pools:
        return None
    return max(0, sum(_pool_size(pool, subnet) for pool, subnet in pools) - used_of(network))


def _pool_size(pool: Pool, subnet: IPv4Network) -> int:
    given = _network(pool.given or pool.subnet) or subnet
    if subnet.subnet_of(given):
        given = subnet
    free = given.num_addresses - sum(address in given for address in set(_taken(pool, subnet)))
    # For a gateway that it was not told, Docker takes one of those that it may give out.
    return free if pool.gateway else max(0, free - 1)


def _taken(pool: Pool, subnet: IPv4Network) -> Iterator[IPv4Address]:
    if subnet.prefixlen < _POINT_TO_POINT:
        yield subnet.network_address
        yield subnet.broadcast_address
    for text in (pool.gateway, *pool.auxiliary.values()):
        found = ip_address(text.partition("/")[0]) if text else None
        if isinstance(found, IPv4Address):
            yield found


def _network(text: str) -> IPv4Network | None:
    """A network as Docker takes it, which may be written as any address in it; None where it is of IPv6."""
    found = ip_network(text, strict=False)
    return found if isinstance(found, IPv4Network) else None
