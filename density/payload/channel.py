"""The payloads' channel to the controller: INTERFACE AGREED, body to be written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Hello:
    """What a payload says when it is ready.

    Attributes:
        at: when the controller heard it, seconds of `anyio.current_time()`.
        kernel: release of the kernel that the instance sees.
        uptime_seconds: how long the payload's process has been running when it said so.
    """

    instance_id: str
    at: float
    kernel: str
    uptime_seconds: float


class ChannelClosed(Exception):
    """The instance's end of the channel closed, or was never opened."""


class Channel:
    """Async context manager; listens on a unix socket for processes and containers, and on one socket a VM.

    Runs its tasks in a task group of its own.
    """

    def __init__(self, directory: Path) -> None:
        """`directory` will hold the sockets (made here, 0711; sockets 0666); containers get it bind-mounted read-only."""
        self.directory = directory

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...

    @property
    def socket_path(self) -> Path:
        """Where processes and containers connect; `/run/density/channel.sock` inside a container."""
        ...

    def expect(self, instance_id: str) -> None:
        """Register before launching; without it a hello is refused. Forgotten again by `forget`."""

    async def listen_serial(self, instance_id: str) -> Path:
        """A listening socket for this VM's serial port (QEMU connects); implies `expect`. Console lines are kept."""
        ...

    async def hello(self, instance_id: str) -> Hello:
        """Wait until the instance says ready. Raises ChannelClosed if it closes before."""
        ...

    async def console_match(self, instance_id: str, pattern: str) -> None:
        """Wait until a console line matches the regex (VMs). Raises ChannelClosed if it closes before."""

    def console(self, instance_id: str) -> tuple[str, ...]:
        """The last 20 lines that were no protocol lines."""
        ...

    async def ping(self, instance_id: str) -> float:
        """Round-trip seconds. Raises ChannelClosed."""
        ...

    def pingable(self, instance_id: str) -> bool:
        """Whether this instance answers pings (said hello over the payload's protocol, still connected)."""
        ...

    async def dismiss(self, instance_ids: list[str] | None = None) -> None:
        """Close these (None: all) payloads' channels: they exit by themselves. Over serial, say `stop` first."""

    def forget(self, instance_id: str) -> None:
        """Drop everything known of an instance."""
