"""The HTTP side of serving metrics: a thread that listens, a thread a scrape."""

import socket
import socketserver
import ssl
import sys
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from density.log import logger
from density.metrics.address import Address

log = logger(__name__)
_POLL_SECONDS = 0.2
"""How often the server's thread looks whether it should end: the most that closing waits for it."""
CLIENT_SECONDS = 15.0
"""How long a client may be connected, whatever it sends or reads meanwhile; Prometheus itself waits for 10 s."""
CLIENTS = 8
"""So many at once, each with a thread of the host's; more are hung up on."""
HEADER_BYTES = 8192
"""Of a request's line and headers together."""


class Served(Protocol):
    """What is behind the listener; both are called in a scrape's own thread, and may raise RuntimeError at the end."""

    def registry(self) -> CollectorRegistry:
        """What this scrape is answered from."""
        ...

    def answered(self) -> None:
        """The scrape is answered; what takes longer can be done now."""
        ...


class Listener(ThreadingHTTPServer):
    """Listens from being made until `close`.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(self, address: Address, served: Served, *, tls: ssl.SSLContext | None) -> None:
        self.served = served
        self._tls = tls
        self._clients: dict[socket.socket, float] = {}
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), _Handler)
        threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="density-metrics", daemon=True).start()

    def close(self) -> None:
        """The port is free afterwards; blocks for a moment."""
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Without the base class's look-up of the host's name, which may go out to a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        """The handshake is left to the scrape's thread, so that a client which stalls in it holds up no other."""
        connection, client = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, client

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 — the base class's types
        """Whether there is a place for one more."""
        if len(self._clients) >= CLIENTS:
            return False
        self._clients[request] = time.monotonic() + CLIENT_SECONDS
        return True

    def service_actions(self) -> None:
        """Between two looks for clients: hang up on those whose time is over; their threads then end."""
        now = time.monotonic()
        for client, end in list(self._clients.items()):
            if now > end:
                with suppress(OSError):
                    socket.socket.shutdown(client, socket.SHUT_RDWR)  # of TLS too, whose own would confuse its thread

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 — the base class's type
        """It is answered, or was hung up on."""
        super().shutdown_request(request)
        self._clients.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 — the base class's types
        """Only the log has it: a client that hung up is no news, and the terminal belongs to the live view."""
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("scrape failed", client=str(client_address))


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = CLIENT_SECONDS
    server_version, sys_version = "density", ""

    def setup(self) -> None:
        """With a bound on what is read."""
        super().setup()
        self.rfile: Any = _Bounded(self.rfile)

    def handle_one_request(self) -> None:
        """With an answer to a first line that is too long; the base class has one for headers."""
        try:
            super().handle_one_request()
        except LineTooLong:
            self.requestline, self.request_version, self.command = "", "", ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)

    def do_GET(self) -> None:
        """Answer a scrape."""
        if self.path.partition("?")[0] not in ("/", "/metrics"):
            self.send_error(HTTPStatus.NOT_FOUND, explain="The metrics are at /metrics")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        try:
            body = encode(self.server.served.registry())
        except RuntimeError as error:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, explain=f"The run is over: {error}")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.served.answered()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — the base class's names
        """Say nothing: the terminal belongs to the live view."""


class _Bounded:
    """What a client sends, up to `HEADER_BYTES`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = HEADER_BYTES

    def readline(self, size: int) -> bytes:
        """A line.

        Raises:
            LineTooLong: there is no end of it within what is left.
        """
        line = self._stream.readline(min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("header")
        return line

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
