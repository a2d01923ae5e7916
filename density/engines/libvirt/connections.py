"""A few connections to one hypervisor, shared by worker threads."""

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import libvirt
from anyio import CancelScope, CapacityLimiter, current_time

from density.engines.libvirt.loop import start_event_loop
from density.errors import EngineUnavailable
from density.log import logger
from density.threads import in_thread

log = logger(__name__)
CONNECTIONS = 3
"""Beside the one that hears events."""
REQUESTS_PER_CONNECTION = 5
"""libvirtd.conf's max_client_requests: more at once only wait in the daemon, unseen."""
GONE_SECONDS = 10.0
"""A daemon that cannot be reached for this long is gone; before, it may be restarting."""
CALL_SECONDS = 120.0
"""A call without an answer for so long, as Docker's have: the daemon, or the worker that took it, hangs."""
KEEP_ALIVE = (5, 12)
"""Seconds between a connection's signs of life, and how many may fail to come."""
_RETRY_SECONDS = 0.5
REMEDY = "apt-get install libvirt-daemon-system qemu-system-x86, then start libvirtd and virtlogd"

_KEPT: list[libvirt.virConnect] = []
HANGS = "restart libvirtd, then `density clean`"

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z qemu-system-\w+: ")

Argument = TypeVar("Argument")
Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Slot:
    connection: libvirt.virConnect
    busy: int = 0


class Connections:
    """Runs calls in worker threads, each on the connection that has least to do; one that broke is opened again.

    Attributes:
        hangs: a call did not come back, so that none is tried any more.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.hangs = False
        self._slots: list[_Slot] = []
        self._lock = threading.Lock()
        self._limiter = CapacityLimiter(CONNECTIONS * REQUESTS_PER_CONNECTION)
        self._threads = CapacityLimiter(math.inf)

    async def open(self) -> None:
        """Connect; where that fails, or the caller is cancelled, no connection stays.

        Raises:
            EngineUnavailable: nothing answers there.
        """
        try:
            for _ in range(CONNECTIONS):
                self._slots.append(_Slot(await self.limited(connect, self.uri, makes=False)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        for slot in self._slots:
            self.let_go(slot.connection)
        self._slots.clear()

    def let_go(self, connection: libvirt.virConnect) -> None:
        """Close a connection; one of a daemon that hangs is kept for ever, as the daemon would have to agree to it."""
        if self.hangs:
            _KEPT.append(connection)  # or Python would close it
            return
        for end in (connection.unregisterCloseCallback, connection.close):
            with suppress(libvirt.libvirtError):
                end()

    async def call(self, function: Callable[[libvirt.virConnect], Result]) -> Result:
        """Run `function` with a connection; again with a new one if that broke, so it has to bear being run twice.

        A cancelled caller waits for it: what it makes is known when this comes back.

        Raises:
            libvirt.libvirtError: libvirt said no.
            EngineUnavailable: the daemon is gone, or hangs.
        """
        async with self._limiter:
            return await self.limited(self._call, function)

    async def limited(
        self, function: Callable[[Argument], Result], argument: Argument, *, makes: bool = True
    ) -> Result:
        """Run something in a worker thread that asks the daemon; the thread is left behind where it does not come back.

        Args:
            function: takes the argument.
            argument: for it.
            makes: what it makes has to be known, so a cancelled caller waits for it; else it is given up at once.

        Raises:
            EngineUnavailable: it has not come back for `CALL_SECONDS`, or something before it did not.
        """
        if not self.hangs:
            with CancelScope(deadline=current_time() + CALL_SECONDS, shield=makes):
                return await in_thread(function, argument, limiter=self._threads, abandon_on_cancel=True)
        self.hangs = True
        where = self.uri or "the default daemon"
        raise EngineUnavailable("libvirt", f"{where} has not answered for {CALL_SECONDS:.0f} s", remedy=HANGS)

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
        deadline = time.monotonic() + GONE_SECONDS
        while slot.connection is broken:
            try:
                fresh = connect(self.uri)
            except EngineUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
                continue
            with self._lock:
                if slot.connection is broken:
                    slot.connection = fresh
                else:
                    fresh.close()
        return slot.connection


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
