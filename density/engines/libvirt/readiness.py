"""Waiting until an instance is ready, in each of the ways a profile can ask for."""

from collections.abc import Awaitable, Callable, Mapping

import anyio
import libvirt
import libvirt_qemu

from density.engines.libvirt.connections import Connections
from density.engines.libvirt.forward import forwarded
from density.engines.libvirt.instance import Instance
from density.model import Readiness
from density.payload.channel import Channel, ChannelClosed

_PING = '{"execute": "guest-ping"}'
_PING_SECONDS = 5
_PAUSE_SECONDS = 0.5

Ready = tuple[float, Mapping[str, str]]


class Waiter:
    """Waits for instances; one that ends or is out of time has its wait cancelled from outside."""

    def __init__(self, connections: Connections, channel: Channel) -> None:
        self._connections = connections
        self._channel = channel

    async def wait(self, instance: Instance, ready: Readiness) -> Ready:
        """When it became ready, seconds of `anyio.current_time()`, and what it said of itself."""
        try:
            if ready.by == "payload":
                return await self._hello(instance)
            await self._ways()[ready.by](instance, ready.argument)
        except ChannelClosed:
            await anyio.sleep_forever()  # libvirt will say how it ended
        return anyio.current_time(), {}

    def _ways(self) -> Mapping[str, Callable[[Instance, str], Awaitable[None]]]:
        return {"running": self._running, "console": self._console, "guest-agent": self._agent, "tcp": self._tcp}

    async def _hello(self, instance: Instance) -> Ready:
        hello = await self._channel.hello(instance.instance_id)
        # The null guest has no kernel to speak of.
        details = {"kernel": hello.kernel, "uptime_seconds": f"{hello.uptime_seconds:.6f}"} if hello.kernel else {}
        return hello.at, details

    async def _running(self, _: Instance, __: str) -> None:
        """It was created running."""

    async def _console(self, instance: Instance, pattern: str) -> None:
        await self._channel.console_match(instance.instance_id, pattern)

    async def _agent(self, instance: Instance, _: str) -> None:
        await instance.agent.wait()
        while not await self._connections.call(lambda each: _answers(each, instance.name)):  # noqa: ASYNC110 — nobody tells
            await anyio.sleep(_PAUSE_SECONDS)

    async def _tcp(self, instance: Instance, port: str) -> None:
        async with forwarded(self._connections, instance.name, int(port)) as is_open:
            while not await is_open():  # noqa: ASYNC110 — nobody tells when a port opens
                await anyio.sleep(_PAUSE_SECONDS)


def _answers(connection: libvirt.virConnect, name: str) -> bool:
    try:
        libvirt_qemu.qemuAgentCommand(connection.lookupByName(name), _PING, _PING_SECONDS, 0)
    except libvirt.libvirtError:
        return False
    return True
