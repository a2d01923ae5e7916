"""libvirt's event loop, which a process has once.

libvirt keeps its loop in a variable of its own and takes it once, before the first connection is opened; so this is the
one thing here that belongs to the process and not to an engine.
"""

import threading
from functools import cache

import libvirt


@cache
def start_event_loop() -> None:
    """Run libvirt's events in a thread of their own from now on; and keep libvirt from writing errors to stderr.

    Callbacks come in that thread.
    """
    libvirt.registerErrorHandler(lambda *_: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run, name="libvirt-events", daemon=True).start()


def _run() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
