"""Pressure stall information: the share of time in which tasks waited for CPU, memory or a disk."""

from pathlib import Path

from density.host.reading import FileSensor, Parser

RESOURCES = ("cpu", "memory", "io")


def parse_pressure(text: str, prefix: str) -> dict[str, float]:
    """Values of one resource from a pressure file, of the host or of a cgroup.

    `PREFIX.some_avg10_ratio` and `PREFIX.full_avg10_ratio` are 0 to 1; `PREFIX.some_total_seconds` adds up since boot.
    Older kernels have no line `full` for the CPU.
    """
    values: dict[str, float] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        fields = dict(pair.split("=") for pair in pairs)
        values[f"{prefix}.{kind}_avg10_ratio"] = float(fields["avg10"]) / 100
        if kind == "some":
            values[f"{prefix}.some_total_seconds"] = float(fields["total"]) / 1e6
    return values


def pressure_parser(prefix: str) -> Parser:
    """`parse_pressure` for one resource."""
    return lambda text: parse_pressure(text, prefix)


def pressure_sensor(root: Path) -> FileSensor:
    """The sensor of the host's pressure.

    Raises:
        Unavailable: the kernel has no PSI, or it is off (boot option `psi=1`).
    """
    directory = root / "proc/pressure"
    return FileSensor({directory / resource: pressure_parser(f"pressure.{resource}") for resource in RESOURCES})
