"""The log of one container: followed until a line matches, and looked at from its end."""

import codecs
import re
import time
from typing import TYPE_CHECKING

from density.engines.docker.client import CLIENT_ERRORS, Clients
from density.engines.docker.session import Interrupt, LeanClient

if TYPE_CHECKING:
    from collections.abc import Callable

TAIL_LINES = 1000
RETRY_SECONDS = 0.25
LOOK_SECONDS = 1.0
LOOK_BYTES = 2**20
"""A log that grew by this much since it was last looked at may have outrun its follower: the daemon keeps the last
files alone and skips what it could not hand on in time (seen: 40 MB, then the line)."""
LONGEST_LINE = 65536


def read_tail(client: LeanClient, container_id: str, *, lines: int) -> tuple[str, ...]:
    """The last lines of a container's log, oldest first. Blocks."""
    said = client.read_log(container_id, lines=lines)
    # Only line feeds end a line here, as in the daemon; a terminal's carriage return before one is no part of it.
    *complete, unfinished = said.decode(errors="replace").split("\n")
    return tuple(line.rstrip("\r") for line in [*complete, *([unfinished] if unfinished else [])])


class Lines:
    """Looks for a pattern in lines that come in pieces, cut anywhere.

    Attributes:
        seen: complete lines so far.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.seen = 0
        self._pattern = pattern
        self._decode: Callable[[bytes], str] = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._unfinished = ""

    def matches(self, data: bytes) -> bool:
        """Whether the pattern is in a line that ends in this piece, or in the one that has not ended yet."""
        *lines, unfinished = (self._unfinished + self._decode(data)).split("\n")
        # Of a line without end (a progress bar, binary data) the last part is enough.
        self._unfinished = unfinished[-LONGEST_LINE:]
        self.seen += len(lines)
        return any(self._pattern.search(line.rstrip("\r")) for line in [*lines, self._unfinished])


class LogFollower:
    """Follows one container's log in a thread until a line matches, whatever interrupts the following.

    Attributes:
        seen: lines that were looked at.
        problem: why the log could last not be read; empty where it could.
    """

    def __init__(self, clients: Clients, container_id: str, pattern: re.Pattern[str]) -> None:
        self.problem = ""
        self.seen = 0
        self._clients = clients
        self._container_id = container_id
        self._pattern = pattern
        self._interrupt = Interrupt()

    def run(self) -> bool:
        """Whether a line matched before `close` was called. Blocks."""
        tail = "all"
        while not self._interrupt.fired.is_set():
            try:
                if self._follow(tail):
                    return True
                self.problem = ""
            except CLIENT_ERRORS as error:
                self.problem = str(error)
            # It fell silent, the daemon went away, or the container ended, which the daemon will tell.
            tail = str(TAIL_LINES)
            self._interrupt.fired.wait(RETRY_SECONDS)
        return False

    def close(self) -> None:
        """End `run`, from any thread."""
        self._interrupt.fire()

    def _follow(self, tail: str) -> bool:
        lines, before = Lines(self._pattern), self.seen
        look_at, unlooked = time.monotonic() + LOOK_SECONDS, 0
        with self._clients.borrow(self._interrupt) as client:
            for data in client.follow_log(
                self._container_id, tail=tail, silence_seconds=LOOK_SECONDS, silence_after_bytes=LOOK_BYTES
            ):
                if lines.matches(data):
                    return True
                self.seen = before + lines.seen
                unlooked += len(data)
                if unlooked > LOOK_BYTES and time.monotonic() > look_at:
                    if self._is_in_tail(client):
                        return True
                    look_at, unlooked = time.monotonic() + LOOK_SECONDS, 0
        return False

    def _is_in_tail(self, client: LeanClient) -> bool:
        return any(map(self._pattern.search, read_tail(client, self._container_id, lines=TAIL_LINES)))
