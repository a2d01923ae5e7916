"""The log of one container: followed until a line matches, and looked at from its end."""

import codecs
import re
import threading
import time
from collections.abc import Callable, Sequence

from density.engines.docker.client import CLIENT_ERRORS, Clients
from density.engines.docker.session import Interrupt, LeanClient

TAIL_LINES = 1000
EVIDENCE_LINES, EVIDENCE_LETTERS = 20, 1000
"""Of a log, what is kept with an instance that failed."""
RETRY_SECONDS = 0.25
LOOK_SECONDS = 1.0
LOOK_BYTES = 2**20
"""A log that grew by this much since it was last looked at may have outrun its follower: the daemon keeps the last
files alone and skips what it could not hand on in time (seen: 40 MB, then the line)."""
LONGEST_LINE = 4096
"""Letters of a line that are searched as one; a longer line is searched in parts. A pattern such as `.*ready` costs the
square of them, and nothing else runs meanwhile: 7 ms."""
OVERLAP = 1024
"""Letters that two parts have in common, and that are searched again with each new piece of a line."""
CPU_SHARE, CPU_BURST_SECONDS = 0.2, 0.5
"""How much of a CPU following all logs may take, and how much of its time at once: containers that flood their logs
measure nothing, and would slow down what does. What a follower misses then is found at the log's end."""


def read_tail(client: LeanClient, container_id: str, *, lines: int) -> tuple[str, ...]:
    """The last lines of a container's log, oldest first. Blocks."""
    said = client.read_log(container_id, lines=lines)
    # Only line feeds end a line here, as in the daemon; a terminal's carriage return before one is no part of it.
    *complete, unfinished = said.decode(errors="replace").split("\n")
    return tuple(line.rstrip("\r") for line in [*complete, *([unfinished] if unfinished else [])])


def evidence(lines: Sequence[str]) -> tuple[str, ...]:
    """The last lines, none of them longer than a person reads."""
    return tuple(line[:EVIDENCE_LETTERS] for line in lines[-EVIDENCE_LINES:])


def is_in(pattern: re.Pattern[str], line: str, at: int = 0) -> bool:
    """Whether the pattern is in a line, from there on; takes a time that is linear in the line's length."""
    while not pattern.search(line, at, at + LONGEST_LINE):
        at += LONGEST_LINE - OVERLAP
        if at + OVERLAP >= len(line):
            return False
    return True


class Lines:
    """Looks for a pattern in lines that come in pieces, cut anywhere, at a cost that is linear in what comes.

    Attributes:
        seen: complete lines so far.
    """

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.seen = 0
        self._pattern = pattern
        self._decode: Callable[[bytes], str] = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._begun = ""
        self._begin = 0  # 1 where the line's beginning is not kept any more, so that ^ is nowhere

    def matches(self, data: bytes) -> bool:
        """Whether the pattern is in a line that ends in this piece, or in the one that has not ended yet."""
        first, *others = self._decode(data).split("\n")
        searched = len(self._begun)
        self._begun += first
        if others:
            *lines, unfinished = [self._begun, *others]
            self.seen += len(lines)
            at, self._begin = self._begin, 0
            self._begun = unfinished
            if is_in(self._pattern, lines[0].rstrip("\r"), at):
                return True
            if any(is_in(self._pattern, line.rstrip("\r")) for line in lines[1:]):
                return True
            searched = 0
        return self._is_in_begun(searched)

    def _is_in_begun(self, searched: int) -> bool:
        """Whether it is in the line that has not ended; the whole of it is searched once it has."""
        line = self._begun.rstrip("\r")
        if len(self._begun) > LONGEST_LINE:
            # Half of it, so that this is done once in so many letters, not with each.
            self._begun, self._begin = self._begun[-LONGEST_LINE // 2 :], 1
        return is_in(self._pattern, line, max(self._begin, searched - OVERLAP))


class Budget:
    """CPU time that followers share; for any thread."""

    def __init__(self, share: float = CPU_SHARE, burst_seconds: float = CPU_BURST_SECONDS) -> None:
        """`share`: of a CPU; `burst_seconds`: what may be spent at once after some rest."""
        self._share = share
        self._burst = self._left = burst_seconds
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def spend(self, seconds: float) -> float:
        """Spend so much; seconds to wait until it is earned, 0 where it was there."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._burst, self._left + self._share * (now - self._at)) - seconds
            self._at = now
            return max(0.0, -self._left / self._share)


class LogFollower:
    """Follows one container's log in a thread until a line matches, whatever interrupts the following.

    Attributes:
        seen: lines that were looked at.
        problem: why the log could last not be read; empty where it could.
    """

    def __init__(self, clients: Clients, container_id: str, pattern: re.Pattern[str], budget: Budget) -> None:
        self.problem = ""
        self.seen = 0
        self._clients = clients
        self._container_id = container_id
        self._pattern = pattern
        self._budget = budget
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
        used = time.thread_time()
        with self._clients.borrow(self._interrupt) as client:
            for data in client.follow_log(
                self._container_id, tail=tail, silence_seconds=LOOK_SECONDS, silence_after_bytes=LOOK_BYTES
            ):
                if lines.matches(data):
                    return True
                self.seen = before + lines.seen
                unlooked += len(data)
                before_this, used = used, time.thread_time()
                if (pause := self._budget.spend(used - before_this)) > 0:
                    self._interrupt.fired.wait(pause)
                if (pause > 0 or unlooked > LOOK_BYTES) and time.monotonic() > look_at:
                    if self._is_in_tail(client):
                        return True
                    look_at, unlooked = time.monotonic() + LOOK_SECONDS, 0
        return False

    def _is_in_tail(self, client: LeanClient) -> bool:
        return any(is_in(self._pattern, line) for line in read_tail(client, self._container_id, lines=TAIL_LINES))
