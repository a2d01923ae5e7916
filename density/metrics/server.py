"""Serving the metrics of a run over HTTP while it goes on."""

import errno
import ssl
from types import TracebackType
from typing import Self

import anyio
import anyio.from_thread
import anyio.lowlevel
from prometheus_client import CollectorRegistry

from density.errors import UsageError
from density.events import Event
from density.metrics.address import DEFAULT, Address
from density.metrics.collector import SnapshotCollector
from density.metrics.listener import Listener
from density.metrics.observer import Observer
from density.state import RunState
from density.threads import in_thread


class MetricsServer:
    """Sink: an async context manager that serves `state` at `url` from entering until leaving.

    A scrape is served in a thread of its own, which asks the event loop for a snapshot; so no lock is needed, nothing
    is computed while nobody asks, and a scrape sees the state between two events, never in the middle of one.

    Args:
        state: the run's state, which has folded an event before `handle` gets it.
        tls: serve HTTPS.
        per_instance: also series of single instances.
    """

    def __init__(
        self,
        state: RunState,
        address: Address = DEFAULT,
        *,
        tls: ssl.SSLContext | None = None,
        per_instance: bool = False,
    ) -> None:
        self._address = address
        self._tls = tls
        self._observer = Observer(state, per_instance=per_instance)
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        """Where the metrics are, with the port that was taken."""
        assert self._listener is not None, "not entered"
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{Address(self._listener.server_name, self._listener.server_port)}/metrics"

    def handle(self, event: Event) -> None:
        """Take one event."""
        self._observer.handle(event)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            UsageError: the address cannot be listened on.
        """
        served = _Served(self._observer, anyio.lowlevel.current_token())
        try:
            self._listener = Listener(self._address, served, tls=self._tls)
        except OSError as error:
            raise UsageError(_refused(self._address, error)) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; the port is free afterwards."""
        assert self._listener is not None, "not entered"
        with anyio.CancelScope(shield=True):
            await in_thread(self._listener.close)


class _Served:
    """The bridge from a scrape's thread to the event loop's."""

    def __init__(self, observer: Observer, token: anyio.lowlevel.EventLoopToken) -> None:
        self._observer = observer
        self._token = token

    def registry(self) -> CollectorRegistry:
        """One snapshot; it waits for findings only where there are none yet, or these are the last."""
        self._learn(urgent=True)
        snapshot = anyio.from_thread.run_sync(self._observer.take, token=self._token)
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(snapshot))
        return registry

    def answered(self) -> None:
        """The next scrape shows what a wave that has settled since told."""
        self._learn(urgent=False)

    def _learn(self, *, urgent: bool) -> None:
        def due() -> RunState | None:
            return self._observer.due(urgent=urgent)

        if state := anyio.from_thread.run_sync(due, token=self._token):
            self._observer.learn(state)


def _refused(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        why = "another program listens there; give --metrics another HOST:PORT, or off"
    else:
        why = f"{error.strerror or error}; give --metrics an address of this machine, or off"
    return f"metrics cannot be served at {address}: {why}"
