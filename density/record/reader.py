"""Reading a record: of a run that is over, one that is still going on, or one that crashed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from density.errors import RecordError
from density.events import Event
from density.record.codec import decode
from density.record.consistency import Consistency
from density.record.schema import EVENTS, SCHEMA_VERSION
from density.state import RunState, fold

_PAGE = 1000
_MOST_BYTES = 64 * 2**20
"""Of one event."""
_BESIDE = ("-journal", "-wal", "-shm")
"""Files that SQLite opens as well; a pipe of that name would block it."""


def read_events(path: Path) -> Iterator[Event]:
    """Every event of the record, in the order in which they were emitted; read-only.

    Reads by pages, each a transaction of its own, so a slow reader does not keep a running writer's log from shrinking.

    Raises:
        RecordError: no record there, one of another version of density, or a damaged one.
    """
    consistency = Consistency()
    with _reading(path) as connection:
        last = 0
        while page := _page(connection, last):
            for last, body in page:
                yield _event(path, last, body, consistency)


def read_details(path: Path, name: str) -> set[str]:
    """What the instances of a run said under this name of their details, each once; read-only.

    Raises:
        RecordError: as `read_events`.
    """
    with _reading(path) as connection:
        found = connection.execute(
            "SELECT DISTINCT json_extract(body, ?) FROM event WHERE kind = 'instance_changed'", (f"$.details.{name}",)
        ).fetchall()
    return {value for (value,) in found if isinstance(value, str)}


class Follower:
    """Reads a record that is still being written: each time what has come since the last time; read-only.

    No connection is open between two readings (opening takes under a millisecond): it would keep the run, when it
    ends, from folding its log into the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = 0
        self._consistency = Consistency()

    def news(self) -> list[Event]:
        """The next events, at most a page of them; empty: there are no more for now.

        Raises:
            RecordError: as `read_events`.
        """
        with _reading(self.path) as connection:
            page = _page(connection, self._last)
        events = [_event(self.path, number, body, self._consistency) for number, body in page]
        self._last = page[-1][0] if page else self._last
        return events


def replay(path: Path) -> RunState:
    """The run's state as the record tells it: the same fold over the same events.

    Raises:
        RecordError: as `read_events`.
    """
    return fold(read_events(path))


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(_open(path)) as connection:
            _check(connection, path)
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of a table's own description
        raise RecordError(f"{path}: the record cannot be read: {error}") from error


def _page(connection: sqlite3.Connection, after: int) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT seq, coalesce(CAST(body AS TEXT), '') FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after, _PAGE)
    ).fetchall()


def _event(path: Path, number: int, body: str, consistency: Consistency) -> Event:
    try:
        event = decode(body)
        consistency.check(event)
    except ValueError as error:
        raise RecordError(f"{path}: event {number} is none that this density knows: {error}") from error
    return event


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise RecordError(f"{path}: there is no record of a run")
    for beside in _BESIDE:
        log = path.with_name(path.name + beside)
        if log.exists() and not log.is_file():
            raise RecordError(f"{log}: not a file, so the record beside it is not opened")
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise RecordError(f"{path}: this is not a record of a run: {error}") from error
    if version != SCHEMA_VERSION:
        raise RecordError(
            f"{path}: this record has version {version} and this density reads version {SCHEMA_VERSION} only"
        )
    # Under the table's name somebody else may have put a view that never ends.
    if connection.execute("SELECT sql FROM sqlite_master WHERE name = 'event'").fetchall() != [(EVENTS,)]:
        raise RecordError(f"{path}: this is not a record of a run: its table of events is another one")
