"""Whether a daemon is of this machine: sensors, reserve and payloads work on this one alone."""

import os
from dataclasses import dataclass
from pathlib import Path

from density.engines.docker.answers import Info
from density.engines.docker.client import Endpoint
from density.units import format_bytes

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """What tells machines apart, as far as a daemon says it of its own."""

    name: str
    kernel: str
    memory_bytes: int

    @property
    def words(self) -> str:
        """In one line."""
        return f"{self.name}, kernel {self.kernel}, {format_bytes(self.memory_bytes)}"


def this_machine(proc: Path = Path("/proc")) -> Machine:
    """The one that this process runs on."""
    system = os.uname()
    total = next(line for line in (proc / "meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    return Machine(system.nodename, system.release, int(total.split()[1]) * _KIB)


def daemons_machine(info: Info) -> Machine:
    """The one that the daemon runs on."""
    return Machine(info.name, info.kernel_version, info.memory)


def is_elsewhere(endpoint: Endpoint, daemons: Machine, this: Machine) -> bool:
    """Whether a daemon is not of this machine.

    A name alone proves nothing where the daemon was reached by a socket: this process may be in a container that has
    the socket mounted. Over the network it does, for a tunnel may lead from this host to a twin of it.
    """
    if (daemons.kernel, daemons.memory_bytes) != (this.kernel, this.memory_bytes):
        return True
    return not endpoint.is_local and daemons.name != this.name
