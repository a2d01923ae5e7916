"""What libvirt tells without being asked: domains that ended, guest agents that came up."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import anyio
import libvirt

from density.engines.libvirt.connections import Connections, close, connect
from density.engines.libvirt.mailbox import Mailbox
from density.errors import EngineUnavailable

_RETRY_SECONDS = 0.5

What = Literal["ended", "agent", "reconnected", "broken"]
How = Literal["shut down", "destroyed", "crashed", "failed", "unknown", "paused", "no disk"]

_HOW: dict[int, How] = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "shut down",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "destroyed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "failed",
}
_PAUSED: dict[int, How] = {
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED: "paused",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG: "paused",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR: "paused",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR: "no disk",
}
"""A VM that stands still is none that runs; one that is saved, or was restored, is on its way."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One piece of news.

    Attributes:
        what: a domain `ended`, or stands still for good, its guest `agent` connected, the connection is `broken` (told
            inside only) or back.
        name: of the domain.
        how: it ended; `failed` is QEMU going without a word, `no disk` QEMU pausing it as its disk takes no more.
    """

    what: What
    name: str = ""
    how: How = "unknown"


class News:
    """One connection that is only listened to; opened again when it breaks."""

    def __init__(self, connections: Connections) -> None:
        """`connections`: to the same libvirt."""
        self._connections = connections
        self._mailbox: Mailbox[Heard] = Mailbox()
        self._connection: libvirt.virConnect | None = None

    async def open(self) -> None:
        """Listen from now on.

        Raises:
            EngineUnavailable: nothing answers there.
        """
        self._connection = await self._connections.connected(self._listening)

    async def close(self) -> None:
        """Stop listening, once `read` is over."""
        if self._connection is not None:
            await self._connections.let_go(self._connection)
        self._mailbox.close()

    async def read(self) -> AsyncIterator[Heard]:
        """Everything that happens, in order; `reconnected` after a time of which nothing is known."""
        async for heard in self._mailbox.read():
            if heard.what == "broken":
                await self._reconnect()
                yield Heard("reconnected")
            else:
                yield heard

    async def _reconnect(self) -> None:
        while True:
            try:
                await self.open()
            except EngineUnavailable:
                await anyio.sleep(_RETRY_SECONDS)
            else:
                return

    def _listening(self, uri: str) -> libvirt.virConnect:
        connection = connect(uri)
        try:
            connection.registerCloseCallback(self._on_close, None)
            connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None)
            # libvirt's test hypervisor has no guests to have agents.
            with suppress(libvirt.libvirtError):
                event = libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE
                connection.domainEventRegisterAny(None, event, self._on_agent, None)
        except libvirt.libvirtError as error:
            close((connection,))  # with its callback, which would keep it open
            raise EngineUnavailable("libvirt", f"{uri} does not tell events: {error}") from error
        return connection

    def _on_close(self, *_: object) -> None:
        self._mailbox.put(Heard("broken"))

    def _on_lifecycle(self, _: object, domain: libvirt.virDomain, event: int, detail: int, __: object) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            self._mailbox.put(Heard("ended", domain.name(), _HOW.get(detail, "unknown")))
        elif event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED and detail in _PAUSED:
            self._mailbox.put(Heard("ended", domain.name(), _PAUSED[detail]))

    def _on_agent(self, _: object, domain: libvirt.virDomain, state: int, __: int, ___: object) -> None:
        if state == libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED:
            self._mailbox.put(Heard("agent", domain.name()))
