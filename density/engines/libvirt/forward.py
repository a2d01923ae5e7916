"""A way from 127.0.0.1 to a port of a guest with `network = "user"`, for as long as somebody asks.

QEMU's user network accepts a connection for the guest before it has asked the guest, so a connection says nothing;
its table of connections does. libvirt of Debian 12 cannot set up a forwarding itself, hence QEMU's own monitor.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import libvirt
import libvirt_qemu

from density.engines.libvirt.connections import REFUSALS, Connections

_NETWORK_ID = "hostnet0"
"""libvirt's name for the first interface of a domain."""
_LOOKS, _LOOK_SECONDS = 5, 0.1


@asynccontextmanager
async def forwarded(
    connections: Connections, name: str, guest_port: int
) -> AsyncGenerator[Callable[[], Awaitable[str]]]:
    """A function that tells why nothing in the guest accepts a connection at this TCP port; empty where something does.

    Raises:
        libvirt.libvirtError: QEMU does not let itself be asked.
        OSError: QEMU does not forward.
    """

    async def ask(command: str) -> str:
        return await connections.call(lambda connection: _monitor(connection, name, command))

    await ask(f"hostfwd_add {_NETWORK_ID} tcp:127.0.0.1:0-:{guest_port}")
    host_port = parse_forward(await ask("info usernet"), guest_port)

    async def refusal() -> str:
        try:
            async with await anyio.connect_tcp("127.0.0.1", host_port):
                table = ""
                # The guest's answer takes a moment.
                for _ in range(_LOOKS):
                    await anyio.sleep(_LOOK_SECONDS)
                    table = await ask("info usernet")
                    if is_established(table, guest_port):
                        return ""
                return "no answer" if is_unanswered(table, guest_port) else "connection refused"
        except OSError as error:
            return f"QEMU does not forward: {error}"

    try:
        yield refusal
    finally:
        with anyio.CancelScope(shield=True), suppress(*REFUSALS):
            await ask(f"hostfwd_remove {_NETWORK_ID} tcp:127.0.0.1:{host_port}")


_ROW = r"^\s*TCP\[{state}\]\s+-?\d+\s+\S+\s+(\d+)\s+\S+\s+{port}\s"


def parse_forward(table: str, guest_port: int) -> int:
    """The port on this host in what QEMU's monitor says to `info usernet`.

    Raises:
        OSError: there is none for this port of the guest.
    """
    found = re.search(_ROW.format(state="HOST_FORWARD", port=guest_port), table, re.MULTILINE)
    if found is None:
        raise OSError(f"QEMU forwards nothing to the guest's port {guest_port}: {table.strip()!r}")
    return int(found[1])


def is_established(table: str, guest_port: int) -> bool:
    """Whether the guest has accepted a connection at this port."""
    return re.search(_ROW.format(state="ESTABLISHED", port=guest_port), table, re.MULTILINE) is not None


def is_unanswered(table: str, guest_port: int) -> bool:
    """Whether the guest has said neither yes nor no to a connection at this port."""
    return re.search(_ROW.format(state="SYN_SENT", port=guest_port), table, re.MULTILINE) is not None


def _monitor(connection: libvirt.virConnect, name: str, command: str) -> str:
    flags = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
    return str(libvirt_qemu.qemuMonitorCommand(connection.lookupByName(name), command, flags))
