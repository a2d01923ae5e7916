"""Tables of the network stack that all containers and VMs share: neighbours, tracked connections, the backlog."""

from pathlib import Path

from density.host.reading import FileSensor, number_parser


def parse_counters(text: str) -> dict[str, list[int]]:
    """Column name -> its hexadecimal number on each CPU, from a file of /proc/net/stat."""
    head, *rows = [line.split() for line in text.splitlines()]
    return {name: [int(row[place], 16) for row in rows if place < len(row)] for place, name in enumerate(head)}


def parse_neighbours(text: str, family: str) -> dict[str, float]:
    """`network.neighbours.FAMILY.{entries_count,table_fulls_count}` from /proc/net/stat/{arp,ndisc}_cache.

    Entries are those of every network namespace, the same number in each CPU's row. Kernels before 4.4 do not count
    how often the table was full.
    """
    columns = parse_counters(text)
    prefix = f"network.neighbours.{family}"
    values = {f"{prefix}.entries_count": float(columns["entries"][0])}
    if "table_fulls" in columns:
        values[f"{prefix}.table_fulls_count"] = float(sum(columns["table_fulls"]))
    return values


def neighbours_sensor(root: Path, family: str) -> FileSensor:
    """The sensor of the neighbour table of `v4` (ARP) or `v6` (NDP).

    Raises:
        Unavailable: no such family, or not in the host's own network namespace, which alone tells.
    """
    file, directory = {"v4": ("arp_cache", "ipv4"), "v6": ("ndisc_cache", "ipv6")}[family]
    limit = root / "proc/sys/net" / directory / "neigh/default/gc_thresh3"
    return FileSensor(
        {
            root / "proc/net/stat" / file: lambda text: parse_neighbours(text, family),
            limit: number_parser(f"network.neighbours.{family}.entries_limit"),
        }
    )


def parse_conntrack(text: str) -> dict[str, float]:
    """`network.conntrack.dropped_count` from /proc/net/stat/nf_conntrack: packets for which there was no entry."""
    columns = parse_counters(text)
    return {"network.conntrack.dropped_count": float(sum(columns["drop"]) + sum(columns["early_drop"]))}


def conntrack_sensor(root: Path) -> FileSensor:
    """`network.conntrack.{count,limit,dropped_count}`.

    Raises:
        Unavailable: connections are not tracked (the module is not loaded).
    """
    directory = root / "proc/sys/net/netfilter"
    return FileSensor(
        {
            directory / "nf_conntrack_count": number_parser("network.conntrack.count"),
            directory / "nf_conntrack_max": number_parser("network.conntrack.limit"),
        },
        {root / "proc/net/stat/nf_conntrack": parse_conntrack},
    )


def parse_softnet(text: str) -> dict[str, float]:
    """`network.backlog.dropped_count` from /proc/net/softnet_stat: packets that found a CPU's backlog full."""
    return {"network.backlog.dropped_count": float(sum(int(line.split()[1], 16) for line in text.splitlines()))}


def backlog_sensor(root: Path) -> FileSensor:
    """`network.backlog.{limit,dropped_count}`: the limit is packets a CPU, and a broadcast puts one in for each port.

    Raises:
        Unavailable: /proc/net does not tell.
    """
    limit = root / "proc/sys/net/core/netdev_max_backlog"
    return FileSensor(
        {root / "proc/net/softnet_stat": parse_softnet, limit: number_parser("network.backlog.limit")},
    )
