"""Finding and removing containers by label, and the images, networks and volumes that carry it."""

import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
from anyio import CapacityLimiter, create_task_group
from docker import APIClient
from docker.errors import NotFound

from density.engines.docker.answers import ListedContainer, ListedImage, ListedNetwork, ListedVolumes, Version
from density.engines.docker.client import CLIENT_ERRORS, Clients, is_missing, is_refused, unavailable
from density.errors import EngineUnavailable
from density.model import LABEL, RUN_ID, Labelled

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.2
AT_ONCE = 4
"""Removals at once, to begin with, and at most on a daemon of before 23.0: the more containers end at once there, the
likelier it locks itself up."""
MOST_AT_ONCE = 16
"""At most on others. Of 160 containers without network 42 a second were removed 8 or 16 at a time, 38 at 4, 24 at 1
(two cores, Docker 20.10)."""
_LOCKS_UP_BEFORE = 23
_VERSION = re.compile(r"\d+")
REMOVE_SECONDS = 20.0
"""For the daemon's answer: one that is locked up never gives it."""
STALLED_SECONDS = 60.0
"""Once nothing was removed for so long the daemon is taken to be locked up."""
STALLED = (
    f"the daemon has removed nothing for {STALLED_SECONDS:.0f} s: restart it, then `density clean`"
    " (before Docker 23.0 it can lock itself up when many containers end at once, moby#42545)"
)

Item = TypeVar("Item")


def names_of(containers: Iterable[ListedContainer]) -> dict[str, str]:
    """Container id -> name."""
    return {found.id: found.name for found in containers}


async def list_labelled(clients: Clients, run_id: str) -> tuple[ListedContainer, ...]:
    """Containers of a run, in whatever state.

    Raises:
        EngineUnavailable: the daemon does not answer.
    """
    filters = {"label": f"{LABEL}={run_id}"}
    try:
        found = await clients.call(lambda client: client.containers(all=True, filters=filters))
        return ListedContainer.list_of(found)
    except CLIENT_ERRORS as error:
        raise unavailable(clients.endpoint, error) from error


async def all_labelled(clients: Clients) -> tuple[Labelled, ...]:
    """Containers, images, networks and volumes with density's label and a whole run id, of whichever run.

    Raises:
        EngineUnavailable: the daemon does not answer.
    """
    try:
        found = await clients.call(_all_labelled)
    except CLIENT_ERRORS as error:
        raise unavailable(clients.endpoint, error) from error
    return tuple(each for each in found if RUN_ID.fullmatch(each.run_id))


def _all_labelled(client: APIClient) -> list[Labelled]:
    containers = ListedContainer.list_of(client.containers(all=True, filters={"label": LABEL}))
    running = {"running", "paused"}
    found = [Labelled(each.name, each.labels.get(LABEL, ""), running=each.state in running) for each in containers]
    return found + [Labelled(each.name, each.run_id) for each in _things(client, LABEL)]


def removals_at_once(version: Version) -> int:
    """How many removals a daemon is given at once at most."""
    if any("podman" in each.name.lower() for each in version.components):
        return MOST_AT_ONCE
    found = _VERSION.match(version.version)
    return MOST_AT_ONCE if found and int(found[0]) >= _LOCKS_UP_BEFORE else AT_ONCE


async def remove(clients: Clients, reference: str) -> bool:
    """Remove one container by force; whether it is gone.

    Raises:
        EngineUnavailable: the daemon cannot be reached.
    """
    try:
        await clients.call(
            lambda client: client.remove_container(reference, v=True, force=True), seconds=REMOVE_SECONDS
        )
    except CLIENT_ERRORS as error:
        if is_refused(error):
            raise unavailable(clients.endpoint, error) from error
        return is_missing(error)
    return True


@dataclass(frozen=True, slots=True)
class _Thing:
    """What a daemon keeps beside containers.

    Attributes:
        remove: has the daemon remove it.
    """

    name: str
    run_id: str
    remove: Callable[[APIClient], object]


@dataclass(frozen=True, slots=True)
class RemovedThings:
    """What became of a run's images, networks and volumes, by names.

    Attributes:
        keeps_up: whether the daemon did; else it has stalled.
    """

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    keeps_up: bool = True


async def remove_things(clients: Clients, run_id: str, pace: "Pace") -> RemovedThings:
    """Remove a run's images, networks and volumes, once its containers are gone.

    Raises:
        EngineUnavailable: the daemon does not answer.
    """
    try:
        found = await clients.call(lambda client: _things(client, f"{LABEL}={run_id}"))
    except CLIENT_ERRORS as error:
        raise unavailable(clients.endpoint, error) from error
    gone: set[str] = set()

    async def remove_one(thing: _Thing) -> bool:
        if is_gone := await _remove_thing(clients, thing):
            gone.add(thing.name)
        return is_gone

    keeps_up = await for_each(found, remove_one, pace)
    names = [each.name for each in found]
    return RemovedThings(
        tuple(each for each in names if each in gone), tuple(each for each in names if each not in gone), keeps_up
    )


def _things(client: APIClient, label: str) -> list[_Thing]:
    """Images, networks and volumes with this label; none of a kind that the daemon does not know."""
    filters = {"label": label}
    found = [
        _Thing(f"image {(each.names or (each.id,))[0]}", each.labels.get(LABEL, ""), _removes_image(each.id))
        for each in ListedImage.list_of(client.images(filters=filters))
    ]
    with suppress(NotFound):
        found += [
            _Thing(f"network {each.name}", each.labels.get(LABEL, ""), _removes_network(each.id))
            for each in ListedNetwork.list_of(client.networks(filters=filters))
        ]
    with suppress(NotFound):
        found += [
            _Thing(f"volume {each.name}", each.labels.get(LABEL, ""), _removes_volume(each.name))
            for each in ListedVolumes.of(client.volumes(filters=filters)).volumes
        ]
    return found


def _removes_image(reference: str) -> Callable[[APIClient], object]:
    return lambda client: client.remove_image(reference, force=True)


def _removes_network(reference: str) -> Callable[[APIClient], object]:
    return lambda client: client.remove_network(reference)


def _removes_volume(reference: str) -> Callable[[APIClient], object]:
    return lambda client: client.remove_volume(reference, force=True)


async def _remove_thing(clients: Clients, thing: _Thing) -> bool:
    """Whether it is gone.

    Raises:
        EngineUnavailable: the daemon cannot be reached.
    """
    try:
        await clients.call(thing.remove)
    except CLIENT_ERRORS as error:
        if is_refused(error):
            raise unavailable(clients.endpoint, error) from error
        return is_missing(error)
    return True


async def remove_image(clients: Clients, reference: str) -> bool:
    """Remove one image with all its names; whether the daemon did."""
    with suppress(*CLIENT_ERRORS, EngineUnavailable):
        await clients.call(lambda client: client.remove_image(reference, force=True))
        return True
    return False


class Pace:
    """How many removals are under way at once: one more after each that worked, half as many after one that did not.

    Attributes:
        limiter: whose places they take.
    """

    def __init__(self, most: int) -> None:
        self.limiter = CapacityLimiter(min(AT_ONCE, most))
        self._most = most

    def ended(self, *, gone: bool) -> None:
        """A removal came to its end."""
        now = int(self.limiter.total_tokens)
        self.limiter.total_tokens = min(self._most, now + 1) if gone else max(1, now // 2)


async def for_each(
    items: Iterable[Item], remove_one: Callable[[Item], Awaitable[bool]], pace: Pace, *, attempts: int = ATTEMPTS
) -> bool:
    """Remove all items, several at once, with a function that says whether the item is gone.

    What is not gone is tried again after growing pauses, in which the others have its place.

    Returns:
        Whether the daemon kept up; else it has stalled, and the items that were not done by then are left.

    Raises:
        EngineUnavailable: the daemon cannot be reached; the items that had not begun by then are left out.
    """
    gone = _Reachable(remove_one, pace)

    async def one(item: Item) -> None:
        for attempt in range(attempts):
            if attempt:
                await anyio.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            if await gone.after(item, patience):
                return

    with anyio.move_on_after(STALLED_SECONDS) as patience:
        async with create_task_group() as group:
            for item in items:
                group.start_soon(one, item)
    if gone.error:
        raise gone.error
    return not patience.cancelled_caught


class _Reachable(Generic[Item]):
    """One removal after another of a daemon that may go away; `error` says that it did."""

    def __init__(self, remove_one: Callable[[Item], Awaitable[bool]], pace: Pace) -> None:
        self.error: EngineUnavailable | None = None
        self._remove_one = remove_one
        self._pace = pace

    async def after(self, item: Item, patience: anyio.CancelScope) -> bool:
        """Whether the item need not be tried again: it is gone, or the daemon is."""
        async with self._pace.limiter:
            if self.error:
                return True
            try:
                gone = await self._remove_one(item)
            except EngineUnavailable as error:
                self.error = error
                return True
        self._pace.ended(gone=gone)
        if gone:
            patience.deadline = anyio.current_time() + STALLED_SECONDS
        return gone
