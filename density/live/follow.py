"""A run of another process, followed by its record."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from density.controller.paths import known_runs, runtime_base
from density.events import Event
from density.record import Follower
from density.state import RunState

POLL_SECONDS = 0.5
"""A run writes its record once a second."""
SILENT_SECONDS = 5.0
"""A run without a lock that has written nothing for so long is dead: while it lives, it reads its host every second.
The lock alone does not tell, since a run of another user has it where one may not look."""


class Followed:
    """A run's state, kept up to date from its record.

    Attributes:
        state: as of the last `catch_up`.
        record: where the record is; the run's directory has the run's id as its name.
    """

    def __init__(self, record: Path) -> None:
        self.state = RunState()
        self.record = record
        self._follower = Follower(record)
        self._written = 0.0
        self._written_at = -math.inf

    @property
    def is_over(self) -> bool:
        """Whether the run has come to its end."""
        return self.state.stage == "done"

    def is_dead(self) -> bool:
        """Whether the run's process is gone without an end."""
        run_id = self.state.run_id or self.record.parent.name
        return not self.is_over and self._silence() > SILENT_SECONDS and not _is_held(run_id)

    async def catch_up(self, handle: Callable[[Event], None] = lambda _: None) -> None:
        """Fold what has come since the last time, and hand each event on when the state knows it.

        Raises:
            RecordError: the record cannot be read.
        """
        while news := await anyio.to_thread.run_sync(self._follower.news):
            for event in news:
                self.state.apply(event)
                handle(event)

    async def follow(self, handle: Callable[[Event], None]) -> None:
        """Go on with it until the run is over or dead.

        Raises:
            RecordError: the record cannot be read.
        """
        while True:
            # In this order: what a run wrote before it died is not missed.
            dead = await anyio.to_thread.run_sync(self.is_dead)
            await self.catch_up(handle)
            if dead or self.is_over:
                return
            await anyio.sleep(POLL_SECONDS)

    def _silence(self) -> float:
        """Seconds since the record was last seen to be written: the file, or the log beside it.

        The first look has nothing but the file's date; later ones do not care what the host's clock says.
        """
        written = 0.0
        for path in (self.record, self.record.with_name(f"{self.record.name}-wal")):
            with suppress(FileNotFoundError):
                written = max(written, path.stat().st_mtime)
        now = time.monotonic()
        if not self._written:
            self._written_at = now - max(0.0, time.time() - written)
        elif written != self._written:
            self._written_at = now
        self._written = written
        return now - self._written_at


def _is_held(run_id: str) -> bool:
    try:
        return known_runs(runtime_base()).get(run_id, False)
    except PermissionError:
        return False
