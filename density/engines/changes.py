"""The stream of changes that an engine's `watch` hands out."""

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

import anyio

from density.events import InstanceChanged
from density.model import Failure, Phase, Workload


class Changing(Protocol):
    """What an engine remembers of an instance, as far as its changes go; `changed_at` is the time of the last one."""

    instance_id: str
    workload: Workload
    changed_at: float


class Changes:
    """An unbounded queue for one consumer; unlike a memory stream it needs no closing at the consumer's end."""

    def __init__(self) -> None:
        self._waiting: deque[InstanceChanged] = deque()
        self._news = anyio.Event()
        self._closed = False

    def report(
        self,
        instance: Changing,
        phase: Phase,
        *,
        at: float | None = None,
        failure: Failure | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        """Hand a change on; called on the event loop's thread.

        Args:
            at: when it was, seconds of `anyio.current_time()`; None: now. Never before the instance's last change: a
                hello can be heard before the engine's own word that the instance was started.
        """
        instance.changed_at = max(instance.changed_at, anyio.current_time() if at is None else at)
        self._waiting.append(
            InstanceChanged(
                instance.changed_at, instance.instance_id, instance.workload.name, phase, failure, details or {}
            )
        )
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
