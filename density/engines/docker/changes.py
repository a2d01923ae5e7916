"""The stream of changes that `DockerEngine.watch` hands out."""

from collections import deque
from collections.abc import AsyncGenerator

import anyio

from density.events import InstanceChanged


class Changes:
    """An unbounded queue for one consumer; unlike a memory stream it needs no closing at the consumer's end."""

    def __init__(self) -> None:
        self._waiting: deque[InstanceChanged] = deque()
        self._news = anyio.Event()
        self._closed = False

    def put(self, change: InstanceChanged) -> None:
        """Hand a change on; called on the event loop's thread."""
        self._waiting.append(change)
        self._news.set()

    def close(self) -> None:
        """End the stream once the consumer has had what waits."""
        self._closed = True
        self._news.set()

    async def read(self) -> AsyncGenerator[InstanceChanged]:
        """Every change in order, until closed."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._closed:
                return
            self._news = anyio.Event()
            await self._news.wait()
