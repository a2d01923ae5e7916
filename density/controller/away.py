"""Waiting for an engine that is away in a teardown, such as a daemon that is being restarted."""

from collections.abc import Awaitable, Callable

import anyio

from density.errors import EngineUnavailable
from density.log import logger
from density.model import Reaped
from density.units import format_seconds

log = logger(__name__)
AWAY_SECONDS = 45.0
"""A daemon of thousands of containers took half a minute to come back."""
PAUSE_SECONDS = 0.5


async def when_back(
    remove: Callable[[], Awaitable[Reaped]], *, left: Callable[[], int], told: Callable[[str], object] = log.info
) -> Reaped:
    """What this removes, tried again while its engine is away, until nothing has gone for `AWAY_SECONDS`.

    Args:
        remove: may be called again.
        left: how many instances of that engine there still are.
        told: takes one line, where it is waited for.

    Raises:
        EngineUnavailable: it stays away, or is there and cannot be used.
    """
    deadline, before, attempts = 0.0, -1, 0
    while True:
        try:
            return await remove()
        except EngineUnavailable as error:
            if not error.is_away:
                raise
            if (now_left := left()) != before:
                before, deadline = now_left, anyio.current_time() + AWAY_SECONDS
            elif anyio.current_time() >= deadline:
                raise
            attempts += 1
            log.warning("engine away, tried again", engine=error.engine, error=error.reason, attempts=attempts)
            if attempts == 1:
                told(f"{error.engine} is away, and waited for ({format_seconds(AWAY_SECONDS)} at most): {error.reason}")
        await anyio.sleep(PAUSE_SECONDS)
