"""Whether libvirt runs LXC containers here."""

import anyio.to_thread
import libvirt

from density.engines.libvirt.connections import words
from density.engines.libvirt.loop import start_event_loop

URI = "lxc:///system"


async def lxc_problem() -> str:
    """Why libvirt's LXC driver cannot be used; empty where it answers."""
    return await anyio.to_thread.run_sync(_problem)


def _problem() -> str:
    start_event_loop()
    try:
        libvirt.open(URI).close()
    except libvirt.libvirtError as error:
        return words(error)
    return ""
