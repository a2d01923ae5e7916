"""The daemon's own account of what happens to a run's containers, heard in one thread."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from docker import APIClient
from urllib3.exceptions import ReadTimeoutError

from density.engines.docker.client import CLIENT_ERRORS, Clients, words
from density.engines.docker.session import Interrupt
from density.model import LABEL, LABELS

INSTANCE_LABEL = f"{LABELS}.instance"
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that happened to a container.

    Attributes:
        what: it ended, its memory ran out, its health check passes again, or has failed as often as its image allows;
            or `reconnected`: things may have been missed.
        exit_code: of a container that ended, where the daemon said so.
    """

    what: Literal["died", "oom", "healthy", "unhealthy", "reconnected"]
    instance_id: str = ""
    exit_code: int | None = None


def parse_event(event: Mapping[str, Any]) -> Heard | None:
    """What one of the daemon's events means here; None where it is of no interest."""
    attributes = event.get("Actor", {}).get("Attributes", {})
    instance_id = attributes.get(INSTANCE_LABEL, "")
    match event.get("Action"):
        case "die":
            return Heard("died", instance_id, int(attributes.get("exitCode", 0)))
        case "oom":
            return Heard("oom", instance_id)
        case "health_status: healthy":
            return Heard("healthy", instance_id)
        case "health_status: unhealthy":
            return Heard("unhealthy", instance_id)
        case _:
            return None


def parse_status(status: str) -> Literal["healthy", "unhealthy", ""]:
    """A running container's health from the daemon's list, such as `Up 2 minutes (unhealthy)`; empty without any."""
    if status.endswith("(unhealthy)"):
        return "unhealthy"
    return "healthy" if status.endswith("(healthy)") else ""


class Feed:
    """Follows the events of one run; `run` blocks its thread until `close`.

    Attributes:
        down_since: monotonic seconds since when the daemon has not answered; None while it does.
        down_reason: what was said when it last did not answer.
    """

    def __init__(self, clients: Clients, run_id: str, *, since: int) -> None:
        """`since`: UNIX seconds of the daemon's clock from which on nothing may be missed."""
        self.down_since: float | None = None
        self.down_reason = ""
        self._clients = clients
        self._filters = {"type": "container", "label": f"{LABEL}={run_id}", "event": ["die", "oom", "health_status"]}
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
        if self.down_since is not None:
            self.down_since = None
            hear(Heard("reconnected"))
        for event in stream:
            if self._is_known(event):
                continue
            heard = parse_event(event)
            if heard is not None:
                hear(heard)
        raise ConnectionError("its stream of events ended")

    def _is_known(self, event: Mapping[str, Any]) -> bool:
        """Whether it was heard before the stream was opened again, which repeats the last whole second."""
        seconds = int(event.get("time", self._since))
        if seconds > self._since:
            self._since = seconds
            self._recent.clear()
        known = (int(event.get("timeNano", 0)), event.get("Actor", {}).get("ID", ""), str(event.get("Action")))
        if known in self._recent:
            return True
        self._recent.add(known)
        return False

    def _note_down(self, reason: str) -> None:
        self.down_reason = reason
        if self.down_since is None:
            self.down_since = time.monotonic()
