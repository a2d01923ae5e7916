"""A few connections to one hypervisor, shared by worker threads."""

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import libvirt
from anyio import (
    CancelScope,
    CapacityLimiter,
    Event,
    create_task_group,
    current_time,
    get_cancelled_exc_class,
)

from density.engines.libvirt.loop import start_event_loop
from density.errors import EngineUnavailable
from density.log import logger
from density.threads import in_thread

log = logger(__name__)
CONNECTIONS = 3
"""Beside the one that hears events."""
REQUESTS_PER_CONNECTION = 5
"""libvirtd.conf's max_client_requests: more at once only wait in the daemon, unseen."""
GONE_SECONDS = 30.0
"""A daemon that cannot be reached for this long is gone; before, it may be restarting."""
CALL_SECONDS = 120.0
"""A call without an answer for so long, as Docker's have, is given up: a daemon may be stopped for a minute."""
ANSWER_SECONDS = 5.0
"""A daemon that lives takes a new connection, or lets one go, within this."""
GRACE_SECONDS = 10.0
"""So long a call that makes something may still come back once nobody wants it, for it to be known what it made."""
KEEP_ALIVE = (5, 12)
"""Seconds between a connection's signs of life, and how many may fail to come."""
_RETRY_SECONDS = 0.5
REMEDY = "apt-get install libvirt-daemon-system qemu-system-x86, then start libvirtd and virtlogd"

_KEPT: list[libvirt.virConnect] = []
HANGS = "restart libvirtd, then `density clean`"

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z qemu-system-\w+: ")

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class NoAnswer(TimeoutError):
    """A call was given up, though the daemon itself lives: what the call is about hangs, such as one QEMU."""


REFUSALS = (libvirt.libvirtError, NoAnswer)
"""What a call raises of a daemon that lives."""


@dataclass(slots=True, eq=False)
class _Slot:
    connection: libvirt.virConnect
    busy: int = 0


class Connections:
    """Runs calls in worker threads, each on the connection that has least to do; one that broke is opened again.

    Attributes:
        hangs: the daemon did not answer when it was last asked whether it lives.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.hangs = False
        self._asked_at = -math.inf
        self._down_since: float | None = None
        self._slots: list[_Slot] = []
        self._lock = threading.Lock()
        self._limiter = CapacityLimiter(CONNECTIONS * REQUESTS_PER_CONNECTION)
        self._threads = CapacityLimiter(math.inf)

    @property
    def is_lost(self) -> bool:
        """Whether there is nobody to ask: the daemon hangs, or could not be reached when that was last tried."""
        return self.hangs or self._down_since is not None

    async def open(self) -> None:
        """Connect; where that fails, no connection stays.

        Raises:
            EngineUnavailable: nothing answers there.
        """
        try:
            for _ in range(CONNECTIONS):
                self._slots.append(_Slot(await self.connected(connect)))
        except BaseException:
            await self.close()
            raise

    async def connected(self, function: Callable[[str], libvirt.virConnect]) -> libvirt.virConnect:
        """A new connection by this function of the URI.

        Raises:
            EngineUnavailable: nothing answers there, or not in time.
        """
        made = await self._given(CALL_SECONDS, function, self.uri)
        if made is None:
            raise self._silent()
        return made

    async def close(self) -> None:
        """Close every connection."""
        slots, self._slots = self._slots, []
        await self.let_go(*(slot.connection for slot in slots))

    async def let_go(self, *connections: libvirt.virConnect) -> None:
        """Close connections; those of a daemon that hangs are kept for ever, as it would have to agree."""
        _KEPT.extend(connections)  # or Python would close them, and wait for the daemon
        if self.hangs:
            return
        with CancelScope(shield=True, deadline=current_time() + ANSWER_SECONDS):
            await in_thread(close, connections, limiter=self._threads, abandon_on_cancel=True)
            for connection in connections:
                _KEPT.remove(connection)

    async def call(self, function: Callable[[libvirt.virConnect], Result], *, grace_seconds: float = 0.0) -> Result:
        """Run `function` with a connection; again with a new one if that broke, so it has to bear being run twice.

        Args:
            function: what is asked.
            grace_seconds: how long a cancelled caller waits for it all the same: what it makes is known then.

        Raises:
            libvirt.libvirtError: libvirt said no.
            NoAnswer: it has not come back in time, from a daemon that answers others.
            EngineUnavailable: the daemon is gone, or hangs.
        """
        if self.hangs and not await self._recovered():
            raise self._silent()
        async with self._limiter:
            done = await self._given(CALL_SECONDS, lambda _: (self._call(function),), "", grace_seconds=grace_seconds)
        if done is not None:
            return done[0]
        fresh = await self._given(ANSWER_SECONDS, connect, self.uri)
        if fresh is None:
            raise self._silent()
        await self.let_go(fresh)
        raise NoAnswer(f"libvirt has not answered for {CALL_SECONDS:.0f} s ({_name(function)})")

    async def _given(
        self, seconds: float, function: Callable[[Argument], Result], argument: Argument, *, grace_seconds: float = 0.0
    ) -> Result | None:
        """What a function gives in a worker thread, left behind where it does not come back in time; None then.

        Args:
            seconds: it has.
            grace_seconds: as in `call`.
        """
        outcome: list[Result | Exception] = []
        over = Event()
        scope = CancelScope(shield=True, deadline=current_time() + seconds)

        async def work() -> None:
            with scope:
                try:
                    outcome.append(await in_thread(function, argument, limiter=self._threads, abandon_on_cancel=True))
                except Exception as error:  # noqa: BLE001 — raised again by who waits for it, outside of the group
                    outcome.append(error)
            over.set()

        async with create_task_group() as group:
            group.start_soon(work)
            try:
                await over.wait()
            except get_cancelled_exc_class():
                scope.deadline = min(scope.deadline, current_time() + grace_seconds)
                raise
        found = outcome[0] if outcome else None
        if isinstance(found, Exception):
            raise found
        return found

    async def _recovered(self) -> bool:
        """Whether a daemon that did not answer does so again; asked now and then, and by new connections from then on.

        Raises:
            EngineUnavailable: it is gone.
        """
        if current_time() - self._asked_at < ANSWER_SECONDS:
            return False
        self._asked_at = current_time()
        fresh = await self._given(ANSWER_SECONDS, connect, self.uri)
        if fresh is None:
            return False
        slots = [_Slot(fresh), *[_Slot(await self.connected(connect)) for _ in range(CONNECTIONS - 1)]]
        _KEPT.extend(slot.connection for slot in self._slots)
        self._slots, self.hangs = slots, False
        return True

    def _silent(self) -> EngineUnavailable:
        self.hangs, self._asked_at = True, current_time()
        where = self.uri or "the default daemon"
        return EngineUnavailable("libvirt", f"{where} has not answered for {CALL_SECONDS:.0f} s", remedy=HANGS)

    def _call(self, function: Callable[[libvirt.virConnect], Result]) -> Result:
        with self._borrowed() as slot:
            used = slot.connection
            began = time.monotonic()
            try:
                done = function(used)
            except libvirt.libvirtError as error:
                _log_refusal(function, began, error)
                if is_alive(used):
                    raise
            else:
                log.debug("call", engine="libvirt", call=_name(function), seconds=round(time.monotonic() - began, 4))
                return done
            return function(self._reopened(slot, used))

    @contextmanager
    def _borrowed(self) -> Iterator[_Slot]:
        with self._lock:
            slot = min(self._slots, key=lambda each: each.busy)
            slot.busy += 1
        try:
            yield slot
        finally:
            with self._lock:
                slot.busy -= 1

    def _reopened(self, slot: _Slot, broken: libvirt.virConnect) -> libvirt.virConnect:
        """A new connection in the place of one that broke; a daemon that is gone is not waited for again and again."""
        while slot.connection is broken:
            try:
                fresh = connect(self.uri)
            except EngineUnavailable:
                with self._lock:
                    self._down_since = self._down_since or time.monotonic()
                    given_up = time.monotonic() > self._down_since + GONE_SECONDS
                if given_up:
                    raise
                time.sleep(_RETRY_SECONDS)
                continue
            with self._lock:
                self._down_since = None
                if slot.connection is broken:
                    slot.connection = fresh
                else:
                    fresh.close()
        return slot.connection


def close(connections: Sequence[libvirt.virConnect]) -> None:
    """Close them, with their callbacks, which would keep them open. Blocks, for as long as the daemon does."""
    for connection in connections:
        for end in (connection.unregisterCloseCallback, connection.close):
            with suppress(libvirt.libvirtError):
                end()


def _log_refusal(function: Callable[..., object], began: float, error: libvirt.libvirtError) -> None:
    """As a warning; a domain that is not there is an ordinary answer where one is removed."""
    level = logging.INFO if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN else logging.WARNING
    seconds = round(time.monotonic() - began, 4)
    log.log(level, "call", engine="libvirt", call=_name(function), seconds=seconds, error=words(error))


def _name(function: Callable[..., object]) -> str:
    """Of a call, from where it is written: `LibvirtEngine.describe`."""
    return str(getattr(function, "__qualname__", function)).removesuffix(".<locals>.<lambda>")


def connect(uri: str) -> libvirt.virConnect:
    """A new connection. Blocks.

    Raises:
        EngineUnavailable: nothing answers there.
    """
    start_event_loop()
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise EngineUnavailable("libvirt", f"{uri}: {words(error)}", remedy=REMEDY) from error
    with suppress(libvirt.libvirtError):  # the test hypervisor has nobody who could fall silent
        connection.setKeepAlive(*KEEP_ALIVE)
    return connection


def is_alive(connection: libvirt.virConnect) -> bool:
    """Whether the connection still stands; asks no one."""
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False


def words(error: Exception) -> str:
    """The engine's own words, on one line, without the time of day that QEMU puts before its own."""
    return " ".join(_STAMP.sub("", str(error)).split())
