"""The view where there is no terminal: a line for what matters, and one now and then that says where things stand."""

import math
import threading
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Self

import anyio

from density.events import Event, HostSampled
from density.live.say import say, standing
from density.profile.spec import Ramp
from density.state import RunState
from density.text import one_line
from density.threads import in_thread

QUIET_SECONDS = 10.0
"""After so long without a line, one says where things stand."""
CLOSE_SECONDS = 2.0
"""How long closing waits for a pipe that nobody reads."""


class PlainView:
    """Sink: an async context manager that writes lines to `file`, from a thread, since a pipe may block."""

    def __init__(self, state: RunState, file: IO[str], *, ramp: Ramp | None = None) -> None:
        self._state = state
        self._ramp = ramp
        self._file = file
        self._said_at = -math.inf
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="density-live", daemon=True)

    def handle(self, event: Event) -> None:
        """Say it, if it is worth a line."""
        said = say(event, self._state)
        if not said and isinstance(event, HostSampled) and event.at - self._said_at >= QUIET_SECONDS:
            said = standing(self._state, self._ramp)
        if said:
            self._say(said, event.at)

    def tell(self, line: str) -> None:
        """Say a line that is no event."""
        self._queue.put(f"{one_line(line)}\n")

    def restore(self) -> None:
        """Nothing to give back; as the terminal's view has it."""

    async def __aenter__(self) -> Self:
        """Begin to write; where the run is going on already, with where things stand."""
        if self._state.run_id:
            self._say(standing(self._state, self._ramp), self._state.now)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left."""
        self._queue.put(None)
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await in_thread(self._thread.join, abandon_on_cancel=True)

    def _say(self, line: str, at: float) -> None:
        self._said_at = at
        self._queue.put(f"[{_elapsed(at - self._state.started_at)}] {one_line(line)}\n")

    def _run(self) -> None:
        try:
            while (line := self._queue.get()) is not None:
                self._file.write(line)
                self._file.flush()
        except (OSError, ValueError):
            return  # whoever read the lines is gone


def _elapsed(seconds: float) -> str:
    minutes, second = divmod(int(max(seconds, 0.0)), 60)
    return f"{minutes:3}:{second:02}"
