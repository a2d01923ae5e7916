"""Writing a record: a sink that costs the event loop one queue operation an event; a thread does the rest."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

import anyio

from density.errors import UsageError, in_short
from density.events import Event
from density.log import logger
from density.record.codec import encode
from density.record.schema import SCHEMA, SCHEMA_VERSION
from density.threads import in_thread

log = logger(__name__)
TICK_SECONDS = 1.0
CLOSE_SECONDS = 30.0
"""How long closing waits for a disk that does not answer; the run's end must not hang on it."""
KEPT_SECONDS = 5.0
WAITING_MAX = 200_000
"""Events kept in memory while the disk refuses them (about 60 MB); what comes after that is lost."""
TRIES = 5
"""Ticks in a row that may fail by a fault of density's own; then the record stops."""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""Primary codes of errors that go away by themselves."""

_Row = tuple[float, str, str]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a run its record holds.

    Attributes:
        last_event_at: time of the last event in it, by the run's clock; None where it has none.
        missing: events that happened and are not in it, by kind.
    """

    last_event_at: float | None
    missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def missing_events(self) -> int:
        """How many."""
        return sum(self.missing.values())


def _in_words(held: Extent) -> str:
    if not held.missing:
        return "written later, nothing is missing"
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in held.missing.items())
    return f"{held.missing_events:,} events are missing ({kinds})"


class RecordWriter:
    """Sink: an async context manager that makes the record at `path` and closes it whole.

    Events become durable once a tick, in one transaction, and those that `kept` waits for at once; a crash of the
    tester loses the last tick at most. What the disk refuses waits in memory and is tried again at every tick, so a
    disk that was full for a while costs nothing.
    `on_problem` is told once, in the event loop's thread, when the first write fails; `problem` has the whole story
    after closing, empty where all went well. `on_refused` is told once, likewise, when the disk is full or fails, which
    is no matter of waiting for another reader of the file. Where the thread itself fails, or more waits than memory
    should hold, the record has stopped: `on_stopped` is told why, once and in the event loop's thread, and what is
    handled from then on is counted as missing.
    """

    def __init__(
        self,
        path: Path,
        *,
        tick_seconds: float | None = None,
        on_problem: Callable[[str], None] = lambda _: None,
        on_refused: Callable[[str], None] = lambda _: None,
        on_stopped: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.problem = ""
        self._tick_seconds = TICK_SECONDS if tick_seconds is None else tick_seconds
        self._on_problem = on_problem
        self._on_refused = on_refused
        self._on_stopped = on_stopped
        self._told = False
        self._refused = ""
        self._told_refused = False
        self._told_stopped = False
        self._stopped = ""
        self._handled: Counter[str] = Counter()
        self._written: Counter[str] = Counter()
        self._last_at: float | None = None
        self._queue: SimpleQueue[Event | Future[None]] = SimpleQueue()
        self._wake = threading.Event()
        self._closing = False
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="density-record", daemon=True)
        self._limiter = anyio.CapacityLimiter(2)
        self._kept = 0
        self._keeping: anyio.Event | None = None

    async def __aenter__(self) -> Self:
        """Make the record.

        Raises:
            UsageError: it cannot be made, or is there already.
        """
        self._thread.start()
        await in_thread(self._opened.result, limiter=self._limiter)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left and close; after this the record is one file, without a log beside it."""
        self._closing = True
        self._wake.set()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await in_thread(self._thread.join, abandon_on_cancel=True, limiter=self._limiter)
        if self._thread.is_alive():
            self._stop(f"the disk did not answer for {CLOSE_SECONDS:.0f} s; the record's end is missing")
        elif self.problem:
            self.problem += f"; {_in_words(self.held)}"
        self._tell()

    @property
    def missing(self) -> int:
        """Events that were handled and are not in the record; while it is open, those that wait are among them."""
        return self._handled.total() - self._written.total()

    @property
    def held(self) -> Extent:
        """How much the record holds."""
        return Extent(self._last_at, dict(self._handled - self._written))

    def handle(self, event: Event) -> None:
        """Take one event, to be written with the next tick."""
        self._handled[event.kind] += 1
        if not self._stopped:
            self._queue.put(event)
            if self.missing > WAITING_MAX:
                self._stop(f"the disk has refused {WAITING_MAX:,} events, and no more are kept in memory")
        if self.problem and not self._told:
            self._tell()
        if self._refused and not self._told_refused:
            self._told_refused = True
            self._on_refused(self._refused)
        if self._stopped and not self._told_stopped:
            self._told_stopped = True
            self._on_stopped(self._stopped)

    async def kept(self) -> None:
        """As `flush`, for many at once, and for some seconds at most: a disk that hangs holds nothing else up.

        Those who wait while a transaction is under way share the next one.
        """
        wanted = self._handled.total()
        with anyio.move_on_after(KEPT_SECONDS):
            while self._kept < wanted:
                if self._keeping is None:
                    await self._keep()
                else:
                    await self._keeping.wait()

    async def _keep(self) -> None:
        self._keeping, kept = anyio.Event(), self._handled.total()
        try:
            await self.flush()
            self._kept = kept
        finally:
            self._keeping.set()
            self._keeping = None

    async def flush(self) -> None:
        """Wait until everything handled so far is in the file, or was refused by the disk (see `problem`)."""
        done: Future[None] = Future()
        if self._stopped:
            return
        self._queue.put(done)
        self._wake.set()
        await in_thread(done.result, limiter=self._limiter, abandon_on_cancel=True)
        self._tell()

    def _tell(self) -> None:
        if self.problem and not self._told:
            self._told = True
            self._on_problem(self.problem)

    def _run(self) -> None:
        try:
            connection = self._create()
        except (OSError, sqlite3.Error) as error:
            self._opened.set_exception(UsageError(f"{self.path}: the record of the run cannot be made: {error}"))
            return
        self._opened.set_result(None)
        try:
            with closing(connection):
                self._write_until_closed(connection)
        except BaseException as error:
            log.exception("record stopped", path=str(self.path))
            self._stop(in_short(error))
        for flush in self._drain([]):
            flush.set_result(None)

    def _stop(self, reason: str) -> None:
        self._stopped = self._stopped or f"{self.path}: {reason}"
        self.problem = self.problem or self._stopped

    def _create(self) -> sqlite3.Connection:
        self.path.touch(exist_ok=False)
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return connection

    def _write_until_closed(self, connection: sqlite3.Connection) -> None:
        waiting: list[_Row] = []
        faults = 0
        closing_now = False
        while not closing_now:
            self._wake.wait(self._tick_seconds)
            self._wake.clear()
            closing_now = self._closing
            flushes = self._drain(waiting)
            try:
                if waiting and self._write(connection, waiting):
                    waiting.clear()
                faults = 0
            except Exception:
                faults += 1
                if faults >= TRIES or closing_now:
                    raise
                log.exception("record tick failed", path=str(self.path), faults=faults)
            finally:
                for flush in flushes:
                    flush.set_result(None)
        self._finish(connection)

    def _drain(self, rows: list[_Row]) -> list[Future[None]]:
        flushes: list[Future[None]] = []
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return flushes
            if isinstance(item, Future):
                flushes.append(item)
            else:
                self._encode(item, rows)

    def _encode(self, event: Event, rows: list[_Row]) -> None:
        try:
            rows.append((event.at, event.kind, encode(event)))
        except Exception as error:  # noqa: BLE001 — one event that cannot be written costs only itself
            self.problem = self.problem or f"{self.path}: {event.kind} cannot be put into the record: {error}"

    def _write(self, connection: sqlite3.Connection, rows: list[_Row]) -> bool:
        try:
            with connection:
                connection.executemany("INSERT INTO event (at, kind, body) VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            said = f"{self.path}: the record could not be written: {error}"
            self.problem = self.problem or said
            if error.sqlite_errorcode & 0xFF not in _BUSY:
                self._refused = self._refused or said
            return False
        self._written.update(kind for _, kind, _ in rows)
        self._last_at = rows[-1][0]
        return True

    def _finish(self, connection: sqlite3.Connection) -> None:
        """Fold the log into the file; where that fails (a reader, a full disk) it stays beside it, and is read too."""
        try:
            connection.execute("PRAGMA busy_timeout = 1000")
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error:
            connection.rollback()
