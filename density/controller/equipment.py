"""What a run works with, and the contracts of those parts; `density.controller.equip` puts the real ones together."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from density.controller.watchdog import Watchdog
from density.engines.base import Engine
from density.host.reading import Sample
from density.model import EngineInfo, EngineName
from density.profile.spec import Profile


class Host(Protocol):
    """The sensors of a host, real or simulated."""

    async def read(self, *, thorough: bool) -> Sample:
        """The host now, by the names of `density.host`; some values only now and then, unless it is thorough."""
        ...

    def quick(self) -> Mapping[str, float]:
        """What can be read of critical ceilings at once, without waiting, by the same names."""
        ...

    def facts(self) -> Mapping[str, str | float]:
        """The host's fingerprint."""
        ...

    def add_bridges(self, devices: Sequence[str]) -> None:
        """Watch the ports of these bridges from now on."""
        ...

    def watch_engine(self, engine: EngineInfo) -> None:
        """Watch this engine's daemons, and the disk that it keeps instances on, from now on."""
        ...


class Pinger(Protocol):
    """Measures round trips to instances."""

    async def ping(self, instance_id: str) -> float:
        """Seconds of one round trip; `ChannelClosed` where the instance is gone."""
        ...

    def pingable(self, instance_id: str) -> bool:
        """Whether the instance answers pings at all."""
        ...


@dataclass(slots=True, kw_only=True)
class Equipment:
    """What is to be run, on which engines and host, and how to ping.

    Attributes:
        profile: what was asked for, without the workloads that were skipped.
        skipped: workload -> why it cannot run here, where the profile lets the others go on.
        left: filled when the equipment is put away: names of what could not be removed.
        warnings: what the person should know about how the run is equipped.
        populations: processes that each limit of the slice holds now: `memory`, `tasks`, `cpus` -> count.
        kill: kills whatever runs in the slice, from any thread; says how many processes there were.
        watchdog: looks at the loop and the host from outside the loop; None where nothing real is at stake.
        protection: keeps density itself alive while instances are launched.
    """

    profile: Profile
    engines: Mapping[EngineName, Engine]
    host: Host
    pinger: Pinger
    skipped: Mapping[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    populations: Callable[[], Mapping[str, int]] = dict
    kill: Callable[[], int] = int
    watchdog: Watchdog | None = None
    protection: Callable[[], AbstractContextManager[None]] = nullcontext
