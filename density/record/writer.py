"""Writing a record: a sink that costs the event loop one queue operation an event; a thread does the rest."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from density.errors import UsageError
from density.events import Event
from density.record.codec import encode
from density.record.schema import SCHEMA, SCHEMA_VERSION

CLOSE_SECONDS = 30.0
"""How long closing waits for a disk that does not answer; the run's end must not hang on it."""
WAITING_MAX = 200_000
"""Events kept in memory while the disk refuses them (about 60 MB); what comes after that is lost."""

_Row = tuple[float, str, str]


class RecordWriter:
    """Sink: an async context manager that makes the record at `path` and closes it whole.

    Events become durable once a tick, in one transaction; a crash of the tester loses the last tick at most. A full
    disk or an I/O error does not end the run: the events wait in memory and are tried again at every tick, so a disk
    that was full for a while costs nothing. `on_problem` is told once, in the event loop's thread, when the first
    write fails; `problem` has the whole story after closing, empty where all went well.
    """

    def __init__(
        self, path: Path, *, tick_seconds: float = 1.0, on_problem: Callable[[str], None] = lambda _: None
    ) -> None:
        self.path = path
        self.problem = ""
        self._tick_seconds = tick_seconds
        self._on_problem = on_problem
        self._told = False
        self._queue: SimpleQueue[Event | Future[None]] = SimpleQueue()
        self._wake = threading.Event()
        self._closing = False
        self._lost = 0
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="density-record", daemon=True)
        self._limiter = anyio.CapacityLimiter(2)

    async def __aenter__(self) -> Self:
        """Make the record.

        Raises:
            UsageError: it cannot be made, or is there already.
        """
        self._thread.start()
        await anyio.to_thread.run_sync(self._opened.result, limiter=self._limiter)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left and close; after this the record is one file, without a log beside it."""
        self._closing = True
        self._wake.set()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await anyio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True, limiter=self._limiter)
        if self._thread.is_alive():
            self.problem = (
                f"{self.path}: the disk did not answer for {CLOSE_SECONDS:.0f} s; the record's end is missing"
            )
        self._tell()

    def handle(self, event: Event) -> None:
        """Take one event, to be written with the next tick."""
        self._queue.put(event)
        if self.problem and not self._told:
            self._tell()

    async def flush(self) -> None:
        """Wait until everything handled so far is in the file, or was refused by the disk (see `problem`)."""
        done: Future[None] = Future()
        self._queue.put(done)
        self._wake.set()
        await anyio.to_thread.run_sync(done.result, limiter=self._limiter, abandon_on_cancel=True)
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
        with closing(connection):
            self._write_until_closed(connection)

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
        closing_now = False
        while not closing_now:
            self._wake.wait(self._tick_seconds)
            self._wake.clear()
            closing_now = self._closing
            flushes = self._drain(waiting)
            if waiting and self._write(connection, waiting):
                waiting.clear()
            for flush in flushes:
                flush.set_result(None)
        if self.problem:
            missing = len(waiting) + self._lost
            self.problem += f"; {missing} events are missing" if missing else "; written later, nothing is missing"
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
            elif self.problem and len(rows) >= WAITING_MAX:
                self._lost += 1
            else:
                self._encode(item, rows)

    def _encode(self, event: Event, rows: list[_Row]) -> None:
        try:
            rows.append((event.at, event.kind, encode(event)))
        except (TypeError, ValueError) as error:
            self._lost += 1
            self.problem = self.problem or f"{self.path}: {event.kind} cannot be put into the record: {error}"

    def _write(self, connection: sqlite3.Connection, rows: list[_Row]) -> bool:
        try:
            with connection:
                connection.executemany("INSERT INTO event (at, kind, body) VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            self.problem = self.problem or f"{self.path}: the record could not be written: {error}"
            return False
        return True

    def _finish(self, connection: sqlite3.Connection) -> None:
        """Fold the log into the file; where that fails (a reader, a full disk) it stays beside it, and is read too."""
        try:
            connection.execute("PRAGMA busy_timeout = 1000")
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error:
            connection.rollback()
