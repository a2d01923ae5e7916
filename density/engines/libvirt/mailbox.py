"""From threads of others to our event loop, without either waiting for the other."""

import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Generic, TypeVar

import anyio

Item = TypeVar("Item")

_CHUNK = 4096


class Mailbox(Generic[Item]):
    """Takes items from any thread; hands them out in order to one consumer on the event loop."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._bell, self._ear = socket.socketpair()
        self._bell.settimeout(0)
        self._ear.settimeout(0)

    def put(self, item: Item) -> None:
        """Leave an item; never blocks."""
        self._items.append(item)
        # A full socket rings already; a closed one has nobody behind it.
        with suppress(OSError):
            self._bell.send(b"!")

    async def read(self) -> AsyncIterator[Item]:
        """Every item, in order; until cancelled."""
        while True:
            while self._items:
                yield self._items.popleft()
            await anyio.wait_readable(self._ear)
            with suppress(BlockingIOError):
                self._ear.recv(_CHUNK)

    def close(self) -> None:
        """Close it once nobody reads any more; what is put later is dropped."""
        self._bell.close()
        self._ear.close()
