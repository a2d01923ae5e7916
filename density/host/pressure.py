"""Pressure stall information: the share of time in which tasks waited for CPU, memory or a disk."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from density.host.reading import FileSensor, Parser

RESOURCES = ("cpu", "memory", "io")
SHORTEST_SECONDS = 0.5
"""Over less than this a share is chance: one task that waits, or none."""


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


class PressureSensor:
    """The host's pressure: what its files say, and `pressure.RESOURCE.some_ratio`, the share since the last read.

    The kernel's own averages reach back ten seconds and more: soon after a wave they still tell of its launches.

    Raises:
        Unavailable: the kernel has no PSI, or it is off (boot option `psi=1`).
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        directory = root / "proc/pressure"
        self._files = FileSensor({directory / name: pressure_parser(f"pressure.{name}") for name in RESOURCES})
        self._clock = clock
        self._before_at, self._before = clock(), self._files.read()
        self._shares: dict[str, float] = {}

    def read(self) -> Mapping[str, float]:
        """Values now; shares since the last read that was `SHORTEST_SECONDS` ago or longer."""
        now, values = self._clock(), self._files.read()
        elapsed = now - self._before_at
        if elapsed >= SHORTEST_SECONDS:
            for resource in RESOURCES:
                waited, before = (seen[f"pressure.{resource}.some_total_seconds"] for seen in (values, self._before))
                self._shares[f"pressure.{resource}.some_ratio"] = min(1.0, max(0.0, waited - before) / elapsed)
            self._before_at, self._before = now, values
        return {**values, **self._shares}
