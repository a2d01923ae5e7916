"""Serving the metrics of a run over HTTP while it goes on."""

import errno
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from density.errors import UsageError
from density.events import Event, HostSampled, ProbeMeasured
from density.metrics.address import DEFAULT, Address
from density.metrics.collector import StateCollector, Taken, take
from density.metrics.histogram import Histograms
from density.state import RunState

_POLL_SECONDS = 0.2
"""How often the server's thread looks whether it should end: the most that leaving the context waits for it."""


class MetricsServer:
    """Sink: an async context manager that serves `state` at `url` from entering until leaving.

    A scrape is served in a thread of its own, which asks the event loop for a snapshot; so no lock is needed, nothing
    is computed while nobody asks, and a scrape sees the state between two events, never in the middle of one.

    Args:
        state: the run's state, which has folded an event before `handle` gets it.
    """

    def __init__(self, state: RunState, address: Address = DEFAULT) -> None:
        self._state = state
        self._address = address
        self._histograms = Histograms()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """Where the metrics are, with the port that was taken."""
        assert self._server is not None, "not entered"
        return f"http://{Address(self._server.server_name, self._server.server_port)}/metrics"

    def handle(self, event: Event) -> None:
        """Count what the state does not keep; everything else is read from it at a scrape.

        Launches are counted with every sample of the host, a few at a time, so that no scrape finds thousands to count.
        """
        if isinstance(event, ProbeMeasured):
            self._histograms.probe(event.workload, event.seconds)
        elif isinstance(event, HostSampled):
            self._histograms.catch_up(self._state)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            UsageError: the address cannot be listened on.
        """
        token = anyio.lowlevel.current_token()

        def snapshot() -> tuple[Taken, ...]:
            return anyio.from_thread.run_sync(take, self._state, self._histograms, token=token)

        registry = CollectorRegistry()
        registry.register(StateCollector(snapshot))
        try:
            self._server = _Server(self._address, registry)
        except OSError as error:
            raise UsageError(_refused(self._address, error)) from error
        thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="density-metrics", daemon=True
        )
        thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; the port is free afterwards."""
        assert self._server is not None, "not entered"
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._server.shutdown)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, address: Address, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Without the base class's look-up of the host's name, which may go out to a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 — the base class's types
        """Say nothing: a client that hung up is no news, and the terminal belongs to the live view."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer a scrape."""
        if self.path.partition("?")[0] not in ("/", "/metrics"):
            self.send_error(HTTPStatus.NOT_FOUND, explain="The metrics are at /metrics")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        try:
            body = encode(self.server.registry)
        except RuntimeError as error:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, explain=f"The run is over: {error}")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — the base class's names
        """Say nothing: the terminal belongs to the live view."""


def _refused(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        why = "another program listens there; give --metrics another HOST:PORT, or off"
    else:
        why = f"{error.strerror or error}; give --metrics an address of this machine, or off"
    return f"metrics cannot be served at {address}: {why}"
