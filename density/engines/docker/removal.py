"""Finding and removing containers by label."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter, create_task_group

from density.engines.docker.client import CLIENT_ERRORS, Clients, is_missing, is_refused, unavailable
from density.errors import EngineUnavailable
from density.model import LABEL

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.2
CONCURRENCY = 4
"""Removals at once. Of 160 containers without network 42 a second were removed 8 or 16 at a time, 38 at 4, 24 at 1 (two
cores, Docker 20.10); the more containers end at once, the likelier a daemon of before 23.0 locks itself up."""

REMOVE_SECONDS = 20
"""For the daemon's answer: one that is locked up never gives it."""
STALLED_SECONDS = 60.0
"""Once nothing was removed for so long the daemon is taken to be locked up."""
STALLED = (
    f"the daemon has removed nothing for {STALLED_SECONDS:.0f} s: restart it, then `density clean`"
    " (before Docker 23.0 it can lock itself up when many containers end at once, moby#42545)"
)

Item = TypeVar("Item")


def parse_names(containers: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Container id -> name, from the daemon's list."""
    return {found["Id"]: (found.get("Names") or [found["Id"]])[0].lstrip("/") for found in containers}


async def list_labelled(clients: Clients, run_id: str | None) -> list[Mapping[str, Any]]:
    """Containers of a run (None: of any), in whatever state, as the daemon describes them.

    Raises:
        EngineUnavailable: the daemon does not answer.
    """
    label = LABEL if run_id is None else f"{LABEL}={run_id}"
    try:
        found: list[Mapping[str, Any]] = await clients.call(
            lambda client: client.containers(all=True, filters={"label": label})
        )
    except CLIENT_ERRORS as error:
        raise unavailable(clients.endpoint, error) from error
    return found


async def remove(clients: Clients, reference: str, *, attempts: int = ATTEMPTS) -> bool:
    """Remove one container by force; whether it is gone. Tries again while the daemon is busy with it.

    Raises:
        EngineUnavailable: the daemon cannot be reached.
    """
    pause = FIRST_PAUSE_SECONDS
    for attempt in range(attempts):
        if attempt:
            await anyio.sleep(pause)
            pause *= 2
        try:
            await clients.call(
                lambda client: client.remove_container(reference, v=True, force=True), seconds=REMOVE_SECONDS
            )
        except CLIENT_ERRORS as error:
            if is_missing(error):
                return True
            if is_refused(error):
                raise unavailable(clients.endpoint, error) from error
        else:
            return True
    return False


async def remove_images(clients: Clients, run_id: str | None) -> tuple[str, ...]:
    """Remove the images that were saved from containers of a run (None: of any); those that would not go.

    Raises:
        EngineUnavailable: the daemon does not answer.
    """
    label = LABEL if run_id is None else f"{LABEL}={run_id}"
    try:
        found = await clients.call(lambda client: client.images(filters={"label": label}))
    except CLIENT_ERRORS as error:
        raise unavailable(clients.endpoint, error) from error
    left = [image for image in found if not await remove_image(clients, image["Id"])]
    return tuple(f"image {(image.get('RepoTags') or [image['Id']])[0]}" for image in left)


async def remove_image(clients: Clients, reference: str) -> bool:
    """Remove one image with all its names; whether the daemon did."""
    with suppress(*CLIENT_ERRORS, EngineUnavailable):
        await clients.call(lambda client: client.remove_image(reference, force=True))
        return True
    return False


async def for_each(items: Iterable[Item], remove_one: Callable[[Item], Awaitable[bool]]) -> bool:
    """Remove all items, a few at once, with a function that says whether the item is gone.

    Returns:
        Whether the daemon kept up; else it has stalled, and the items that were not done by then are left.

    Raises:
        EngineUnavailable: the daemon cannot be reached; the items that had not begun by then are left out.
    """
    limiter = CapacityLimiter(CONCURRENCY)
    gone: list[EngineUnavailable] = []

    async def one(item: Item) -> None:
        async with limiter:
            if not gone:
                try:
                    if await remove_one(item):
                        patience.deadline = anyio.current_time() + STALLED_SECONDS
                except EngineUnavailable as error:
                    gone.append(error)

    with anyio.move_on_after(STALLED_SECONDS) as patience:
        async with create_task_group() as group:
            for item in items:
                group.start_soon(one, item)
    if gone:
        raise gone[0]
    return not patience.cancelled_caught
