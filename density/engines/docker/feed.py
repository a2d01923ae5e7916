"""The daemon's own account of what happens to a run's containers, heard in one thread."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from docker import APIClient
from urllib3.exceptions import ReadTimeoutError

from density.engines.docker.answers import Event, MalformedAnswerError
from density.engines.docker.client import CLIENT_ERRORS, Clients, words
from density.engines.docker.session import Interrupt
from density.log import logger
from density.model import LABEL, LABELS

log = logger(__name__)
INSTANCE_LABEL = f"{LABELS}.instance"
EVENTS = ("oom", "health_status", "pause", "unpause")
"""Beside `die`."""
RETRY_SECONDS = 0.5
LONGEST_NUMBER = 11
"""Letters of an exit code, which is a number of 32 bits."""
MOST_RECENT = 65536
"""Events of one second that are remembered."""

What = Literal["died", "oom", "healthy", "unhealthy", "paused", "unpaused", "missed", "replaced"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that happened to a container.

    Attributes:
        what: it ended, its memory ran out, its health check passes again, or has failed as often as its image allows,
            somebody paused it or let it go on; or `missed`: something may have happened that was not reported; or
            `replaced`: so it is, and another daemon answers now.
        exit_code: of a container that ended, where the daemon said so.
        at: when, in nanoseconds by the daemon's clock; 0: it did not say.
    """

    what: What
    instance_id: str = ""
    exit_code: int | None = None
    at: int = field(default=0, compare=False)


_MEANINGS: Mapping[str, What] = {
    "oom": "oom",
    "health_status: healthy": "healthy",
    "health_status: unhealthy": "unhealthy",
    "pause": "paused",
    "unpause": "unpaused",
}


def meaning_of(event: Event) -> Heard | None:
    """What one of the daemon's events means here; None where it is of no interest."""
    instance_id = event.actor.attributes.get(INSTANCE_LABEL, "")
    if event.action == "die":
        return Heard("died", instance_id, _exit_code(event.actor.attributes.get("exitCode", "")))
    what = _MEANINGS.get(event.action)
    return Heard(what, instance_id, at=event.nanoseconds) if what else None


def _exit_code(text: str) -> int | None:
    return int(text) if len(text) <= LONGEST_NUMBER and text.lstrip("-").isdecimal() else None


def parse_status(status: str) -> Literal["healthy", "unhealthy", ""]:
    """A running container's health from the daemon's list, such as `Up 2 minutes (unhealthy)`; empty without any."""
    if status.endswith("(unhealthy)"):
        return "unhealthy"
    return "healthy" if status.endswith("(healthy)") else ""


class Feed:
    """Follows the events of one run; `run` blocks its thread until `close`.

    The stream may be cut, late, or repeat itself, and an event may have any shape: then what it hides is looked for in
    the daemon's list.

    Attributes:
        down_since: monotonic seconds since when the daemon has not answered; None while it does.
        down_reason: what was said when it last did not answer.
    """

    def __init__(self, clients: Clients, run_id: str, *, since: int, find_pid: Callable[[], int] = int) -> None:
        """Not connected yet.

        Args:
            clients: of the daemon.
            run_id: of the run.
            since: UNIX seconds of the daemon's clock from which on nothing may be missed.
            find_pid: the daemon's process now; 0: not known. Blocks.
        """
        self._find_pid = find_pid
        self._pid = 0
        self.down_since: float | None = None
        self.down_reason = ""
        self._clients = clients
        self._filters = {"type": "container", "label": f"{LABEL}={run_id}", "event": ["die", *EVENTS]}
        self._since = since
        self._recent: set[tuple[int, str, str]] = set()
        self._interrupt = Interrupt()

    def run(self, hear: Callable[[Heard], None]) -> None:
        """Hand everything heard to `hear`, connecting again when the daemon was away. Blocks until closed."""
        closing = self._interrupt.fired
        while not closing.is_set():
            try:
                with self._clients.borrow(self._interrupt) as client:
                    self._follow(client, hear)
            except ReadTimeoutError:
                continue  # nothing happened for a while, which is no trouble
            except CLIENT_ERRORS as error:
                if closing.is_set():
                    return
                self._note_down(words(error))
                closing.wait(RETRY_SECONDS)

    def close(self) -> None:
        """End `run`, from any thread."""
        self._interrupt.fire()

    def _follow(self, client: APIClient, hear: Callable[[Heard], None]) -> None:
        stream = client.events(since=self._since, filters=self._filters, decode=True)
        before, self._pid = self._pid, self._find_pid() or self._pid
        if self.down_since is not None:
            self.down_since = None
            hear(Heard("replaced" if before not in {0, self._pid} else "missed"))
        for said in stream:
            try:
                event = Event.of(said)
            except MalformedAnswerError as error:
                log.warning("odd event", engine="docker", error=str(error))
                hear(Heard("missed"))
                continue
            if not self._is_known(event) and (heard := meaning_of(event)):
                hear(heard)
        raise ConnectionError("its stream of events ended")

    def _is_known(self, event: Event) -> bool:
        """Whether it was heard before: the stream, opened again, repeats the last whole second."""
        if event.time > self._since or len(self._recent) >= MOST_RECENT:
            self._since = max(self._since, event.time)
            self._recent.clear()
        known = (event.nanoseconds, event.actor.attributes.get(INSTANCE_LABEL, ""), event.action)
        if known in self._recent:
            return True
        self._recent.add(known)
        return False

    def _note_down(self, reason: str) -> None:
        self.down_reason = reason
        if self.down_since is None:
            self.down_since = time.monotonic()
