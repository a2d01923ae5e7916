"""What a run works with, and the contracts of those parts; `density.controller.equip` puts the real ones together."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from density.engines.base import Engine
from density.model import EngineName


class Host(Protocol):
    """The sensors of a host, real or simulated."""

    async def read(self) -> Mapping[str, float]:
        """The host's values now, by the names of `density.host`."""
        ...

    def facts(self) -> Mapping[str, str | float]:
        """The host's fingerprint."""
        ...

    def add_bridges(self, devices: tuple[str, ...]) -> None:
        """Watch the ports of these bridges from now on."""
        ...


class Pinger(Protocol):
    """Measures round trips to instances."""

    async def ping(self, instance_id: str) -> float:
        """Seconds of one round trip; `ChannelClosed` where the instance is gone."""
        ...

    def pingable(self, instance_id: str) -> bool:
        """Whether the instance answers pings at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """Engines by name, the host, and how to ping.

    Attributes:
        release: called once after every instance is gone; removes the slice and the runtime files and returns the names
            of what it could not remove.
        warnings: what the person should know about how the run is equipped.
    """

    engines: Mapping[EngineName, Engine]
    host: Host
    pinger: Pinger
    release: Callable[[], Awaitable[tuple[str, ...]]]
    warnings: tuple[str, ...] = ()
