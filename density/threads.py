"""Work in worker threads, also on a host that has no task left for another thread."""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
from anyio import CapacityLimiter, to_thread

from density.errors import without_thread
from density.log import logger

log = logger(__name__)
Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")
PATIENCE_SECONDS = 1.0
"""For a thread that is there already to come free."""
_PAUSE_SECONDS = 0.05


async def in_thread(
    function: Callable[[*Arguments], Result],
    *arguments: *Arguments,
    limiter: CapacityLimiter | None = None,
    abandon_on_cancel: bool = False,
    or_here: bool = True,
) -> Result:
    """As `anyio.to_thread.run_sync`; where no thread can be started it waits for one, then works in the event loop.

    Stopping, reporting and cleaning up have to work where a run, or something else, has taken every task of the host.

    Args:
        or_here: not for what may take long: that has failed where no thread comes free.

    Raises:
        RuntimeError: see `density.errors.without_thread`; not with `or_here`.
    """
    waited = 0.0
    while True:
        try:
            return await to_thread.run_sync(function, *arguments, limiter=limiter, abandon_on_cancel=abandon_on_cancel)
        except RuntimeError as error:
            if not without_thread(error) or (waited >= PATIENCE_SECONDS and not or_here):
                raise
        if waited >= PATIENCE_SECONDS:
            log.warning("no thread can be started; working in the event loop", function=str(function))
            return function(*arguments)
        await anyio.sleep(_PAUSE_SECONDS)
        waited += _PAUSE_SECONDS
