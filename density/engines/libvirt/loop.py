"""libvirt's event loop, which a process has once.

libvirt keeps its loop in a variable of its own and takes it once, before the first connection is opened; so this is the
one thing here that belongs to the process and not to an engine.
"""

import threading
import time
from functools import cache

import libvirt

from density.log import logger

log = logger(__name__)
_PAUSE_SECONDS = 0.5


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
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            # Without this thread nothing would be heard any more, of any engine, and nobody would know.
            log.exception("one round of libvirt's events failed")
            time.sleep(_PAUSE_SECONDS)
