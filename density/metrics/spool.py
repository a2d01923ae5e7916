"""Text that comes in one order and is wanted in another, with little of it in memory at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from types import TracebackType
from typing import Self

FULL_CHARACTERS = 8 * 2**20
"""What is kept in memory before it goes to the temporary file."""

Key = tuple[int, int]


class Spool:
    """A context manager that takes pieces of text by key, and gives them back key by key, each key's in order.

    The temporary file has no name, so nothing is left of it however the process ends; it goes where SQLite puts
    temporary files (SQLITE_TMPDIR, /var/tmp). Methods raise sqlite3.Error where that place is full.
    """

    def __init__(self, *, full: int = FULL_CHARACTERS) -> None:
        self._full = full
        self._held: dict[Key, list[str]] = {}
        self._size = 0

    def __enter__(self) -> Self:
        self._database = sqlite3.connect("")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE piece (major INTEGER, minor INTEGER, text TEXT)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, key: Key, text: str) -> None:
        """Take a piece."""
        self._held.setdefault(key, []).append(text)
        self._size += len(text)
        if self._size >= self._full:
            self._flush()

    def pieces(self) -> Iterator[tuple[Key, str]]:
        """Everything, by key; a key's text may come in several pieces."""
        self._flush()
        self._database.execute("CREATE INDEX by_key ON piece (major, minor)")
        with closing(self._database.cursor()) as cursor:
            for major, minor, text in cursor.execute(
                "SELECT major, minor, text FROM piece ORDER BY major, minor, rowid"
            ):
                yield (major, minor), text

    def _flush(self) -> None:
        rows = ((*key, "".join(texts)) for key, texts in self._held.items())
        self._database.executemany("INSERT INTO piece VALUES (?, ?, ?)", rows)
        self._held.clear()
        self._size = 0
