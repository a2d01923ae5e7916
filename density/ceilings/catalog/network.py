"""Ceilings of the network: what instances share there without knowing of each other."""

from density.ceilings.catalog.entry import Ceiling, Fix, errors
from density.ceilings.reading import capped, each, each_fixed, each_shared, either, plain

BRIDGE_PORTS_MAX = 1023
"""BR_MAX_PORTS is 1 << BR_PORT_BITS (10) in the kernel's net/bridge/br_private.h; port 0 is not used."""

NETWORK = (
    Ceiling(
        id="network.bridge_ports",
        resource="ports of one bridge",
        unit="ports",
        read=each_fixed("network.bridge", "ports_count", BRIDGE_PORTS_MAX),
        errors=errors("exchange_full"),
        fix=Fix('spread the workload over several networks, or use network = "none" or "host"'),
    ),
    Ceiling(
        # Soft: at the limit the kernel drops entries that nobody waits for (tried: 24 containers of 3 multicast entries
        # each under a limit of 30 all came up), so entries forecast nothing; `table_fulls` tells when that failed.
        id="network.neighbours",
        resource="neighbours (ARP and NDP) of all network namespaces together",
        unit="neighbours",
        read=capped(each("network.neighbours", "entries_count", "entries_limit")),
        soft=True,
        errors=errors("table_full", "timeout"),
        fix=Fix(
            "sysctl -w net.ipv4.neigh.default.gc_thresh3=131072 net.ipv6.neigh.default.gc_thresh3=131072 "
            "net.ipv4.neigh.default.gc_thresh2=65536 net.ipv6.neigh.default.gc_thresh2=65536",
            sysctls=("net.ipv4.neigh.default.gc_thresh3", "net.ipv6.neigh.default.gc_thresh3"),
        ),
    ),
    Ceiling(
        id="network.addresses",
        resource="addresses of one network",
        unit="addresses",
        read=either(
            each("network.bridge", "ports_count", "addresses_count"),
            each("network.pool", "instances_count", "addresses_count"),
        ),
        errors=errors("no_address"),
        fix=Fix("make the network with a bigger subnet: docker network create --subnet 10.200.0.0/16 NAME"),
    ),
    Ceiling(
        id="network.backlog",
        resource="packets that one CPU can put aside: a broadcast on a bridge is one for each port",
        unit="packets",
        read=each_shared("network.bridge", "ports_count", "network.backlog.limit"),
        errors=errors("timeout"),
        fix=Fix("sysctl -w net.core.netdev_max_backlog=16384", sysctls=("net.core.netdev_max_backlog",)),
    ),
    Ceiling(
        id="network.conntrack",
        resource="tracked connections",
        unit="connections",
        read=plain("network.conntrack.count", "network.conntrack.limit", reserve=256),
        errors=errors("timeout"),
        fix=Fix("sysctl -w net.netfilter.nf_conntrack_max=1048576", sysctls=("net.netfilter.nf_conntrack_max",)),
    ),
    Ceiling(
        id="network.ports",
        resource="ports of the host that are given out when instances publish theirs",
        unit="ports",
        read=plain("network.ports.used_count", "network.ports.limit", reserve=256),
        errors=errors("port_taken", "no_port"),
        fix=Fix('publish fewer ports, or give out more: sysctl -w net.ipv4.ip_local_port_range="1024 65535"'),
    ),
    Ceiling(
        id="network.pools",
        resource="networks that Docker can make from its default address pools",
        unit="networks",
        read=plain("network.pools.used_count", "network.pools.limit"),
        errors=errors("no_pool"),
        fix=Fix(
            'more or smaller pools: "default-address-pools" in daemon.json, such as '
            '[{"base": "10.128.0.0/9", "size": 24}]; or remove networks: docker network prune'
        ),
    ),
)
