"""Ctrl-C between the ramps, which hear of it themselves: what is being measured ends, and what it made is removed."""

import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import anyio.abc

TOLD = "interrupted: removing everything"


@dataclass(slots=True)
class Interruption:
    """Whether the person asked for the end."""

    came: bool = False


@asynccontextmanager
async def interruptible(say: Callable[[str], None]) -> AsyncGenerator[Interruption]:
    """The body ends at the first SIGINT, SIGTERM or SIGHUP as if it were cancelled; nothing is raised."""
    interruption = Interruption()

    async def listen(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
            task_status.started()
            async for _ in received:
                if not interruption.came:
                    interruption.came = True
                    say(TOLD)
                    group.cancel_scope.cancel()

    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        await group.start(listen)
        try:
            yield interruption
        except Exception as error:  # noqa: BLE001 — raised again below, outside of the group that would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
