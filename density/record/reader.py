"""Reading a record: of a run that is over, one that is still going on, or one that crashed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from density.errors import DensityError, UsageError
from density.events import Event
from density.record.codec import decode
from density.record.schema import SCHEMA_VERSION
from density.state import RunState, fold

_PAGE = 1000


def read_events(path: Path) -> Iterator[Event]:
    """Every event of the record, in the order in which they were emitted; read-only.

    Reads by pages, each a transaction of its own, so a slow reader does not keep a running writer's log from shrinking.

    Raises:
        UsageError: no record there, or one of another version of density.
        DensityError: the record is damaged.
    """
    try:
        with closing(_open(path)) as connection:
            _check(connection, path)
            last = 0
            while page := connection.execute(
                "SELECT seq, body FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (last, _PAGE)
            ).fetchall():
                for last, body in page:  # noqa: B007 — the next page starts after it
                    yield decode(body)
    except sqlite3.Error as error:
        raise DensityError(f"{path}: the record cannot be read: {error}") from error
    except ValueError as error:
        raise DensityError(f"{path}: event {last} is none that this density knows: {error}") from error


def replay(path: Path) -> RunState:
    """The run's state as the record tells it: the same fold over the same events.

    Raises:
        UsageError, DensityError: as `read_events`.
    """
    return fold(read_events(path))


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise UsageError(f"{path}: there is no record of a run")
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{path}: this is not a record of a run: {error}") from error
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{path}: this record has version {version} and this density reads version {SCHEMA_VERSION} only"
        )
