"""Waiting until an instance is ready, in each of the ways a profile can ask for."""

from collections.abc import Awaitable, Callable, Mapping

import anyio
import libvirt
import libvirt_qemu

from density.engines.libvirt.connections import Connections, words
from density.engines.libvirt.forward import forwarded
from density.engines.libvirt.instance import Instance
from density.model import Readiness
from density.payload.channel import Channel, ChannelClosed
from density.units import format_counted

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

    def sum_up(self, instance: Instance, ready: Readiness) -> None:
        """Note what came of waiting for words that never came."""
        if ready.by in {"console", "payload"} and not instance.is_container:
            lines = self._channel.lines(instance.instance_id)
            instance.tried.what += f"; it printed {format_counted(lines, 'other line', 'other lines')}"

    def _ways(self) -> Mapping[str, Callable[[Instance, str], Awaitable[None]]]:
        return {"running": self._running, "console": self._console, "guest-agent": self._agent, "tcp": self._tcp}

    async def _hello(self, instance: Instance) -> Ready:
        instance.tried.what = "waited for its payload to say ready"
        hello = await self._channel.hello(instance.instance_id)
        # The null guest has no kernel to speak of.
        details = {"kernel": hello.kernel, "uptime_seconds": f"{hello.uptime_seconds:.6f}"} if hello.kernel else {}
        return hello.at, details

    async def _running(self, _: Instance, __: str) -> None:
        """It was created running."""

    async def _console(self, instance: Instance, pattern: str) -> None:
        instance.tried.what = f"waited for a console line that matches {pattern!r}"
        await self._channel.console_match(instance.instance_id, pattern)

    async def _agent(self, instance: Instance, _: str) -> None:
        tried = instance.tried
        tried.what = "waited for its guest agent, which has never connected"
        await instance.agent.wait()
        tried.what = "guest-ping to its guest agent"
        while answer := await self._connections.call(lambda each: _refusal(each, instance.name)):
            tried.note(answer)
            await anyio.sleep(_PAUSE_SECONDS)

    async def _tcp(self, instance: Instance, port: str) -> None:
        instance.tried.what = f"connected to its port {port}"
        async with forwarded(self._connections, instance.name, int(port)) as ask:
            while answer := await ask():
                instance.tried.note(answer)
                await anyio.sleep(_PAUSE_SECONDS)


def _refusal(connection: libvirt.virConnect, name: str) -> str:
    """Why the guest's agent does not answer; empty where it does."""
    try:
        libvirt_qemu.qemuAgentCommand(connection.lookupByName(name), _PING, _PING_SECONDS, 0)
    except libvirt.libvirtError as error:
        return words(error)
    return ""
