"""The daemon's own account of what happens to a run's containers, heard in one thread."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from docker import APIClient
from urllib3.exceptions import ReadTimeoutError

from density.engines.docker.client import CLIENT_ERRORS, Clients, words
from density.model import LABEL

if TYPE_CHECKING:
    from docker.types.daemon import CancellableStream

INSTANCE_LABEL = "density.instance"
RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that happened to a container.

    Attributes:
        what: it ended, its memory ran out, its health check passed; or `reconnected`: things may have been missed.
        exit_code: of a container that ended, where the daemon said so.
    """

    what: Literal["died", "oom", "healthy", "reconnected"]
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
        case _:
            return None


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
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._stream: CancellableStream[dict[str, Any]] | None = None

    def run(self, hear: Callable[[Heard], None]) -> None:
        """Hand everything heard to `hear`, connecting again when the daemon was away. Blocks until closed."""
        while not self._closing.is_set():
            try:
                with self._clients.borrow() as client:
                    self._follow(client, hear)
            except ReadTimeoutError:
                continue  # nothing happened for a while, which is no trouble
            except CLIENT_ERRORS as error:
                if self._closing.is_set():
                    return
                self._note_down(words(error))
                self._closing.wait(RETRY_SECONDS)

    def close(self) -> None:
        """End `run`, from any thread."""
        self._closing.set()
        with self._lock:
            if self._stream is not None:
                # The stream may have ended by itself, and then has no socket left to close.
                with suppress(OSError, AttributeError):
                    self._stream.close()

    def _follow(self, client: APIClient, hear: Callable[[Heard], None]) -> None:
        stream = client.events(since=self._since, filters=self._filters, decode=True)
        with self._lock:
            self._stream = stream
        if self._closing.is_set():
            self.close()
        if self.down_since is not None:
            self.down_since = None
            hear(Heard("reconnected"))
        for event in stream:
            self._since = int(event.get("time", self._since))
            heard = parse_event(event)
            if heard is not None:
                hear(heard)
        raise ConnectionError("its stream of events ended")

    def _note_down(self, reason: str) -> None:
        self.down_reason = reason
        if self.down_since is None:
            self.down_since = time.monotonic()
