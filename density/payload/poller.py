"""Thousands of sockets behind one waiting task."""

import select
from collections.abc import Callable
from typing import NoReturn

import anyio

from density.log import logger

_BATCH = 64
log = logger(__name__)


class Poller:
    """Calls a handler when a file descriptor can be read, or has been closed at its other end.

    A handler that raises is not called again; it ends nobody else's.

    An epoll of its own is the one descriptor that the event loop waits for: an idle connection then costs neither
    a task nor a future, and one that speaks costs no task switch. Handlers must not block; they are called again for
    what they leave.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def add(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Watch an open descriptor until `remove`."""
        self._epoll.register(descriptor, select.EPOLLIN)
        self._handlers[descriptor] = handler

    def remove(self, descriptor: int) -> None:
        """Stop watching; before the descriptor is closed. Unknown ones are ignored."""
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    async def run(self) -> NoReturn:
        """Serve until cancelled."""
        while True:
            await anyio.wait_readable(self._epoll.fileno())
            for descriptor, _ in self._epoll.poll(0, _BATCH):
                # An earlier handler of this batch may have removed it.
                if handler := self._handlers.get(descriptor):
                    self._call(descriptor, handler)

    def _call(self, descriptor: int, handler: Callable[[], None]) -> None:
        try:
            handler()
        except Exception:
            log.exception("descriptor not watched any more, its handler failed", descriptor=descriptor)
            self.remove(descriptor)

    def close(self) -> None:
        """Forget everything; the descriptors themselves stay open."""
        self._handlers.clear()
        self._epoll.close()
