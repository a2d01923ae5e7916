"""The HTTP side of serving metrics: a thread that listens, a thread a scrape."""

import socket
import socketserver
import ssl
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from density.log import logger
from density.metrics.address import Address

log = logger(__name__)
_POLL_SECONDS = 0.2
"""How often the server's thread looks whether it should end: the most that closing waits for it."""
_CLIENT_SECONDS = 10.0
"""A client that says nothing for so long is hung up on."""


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

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 — the base class's types
        """Only the log has it: a client that hung up is no news, and the terminal belongs to the live view."""
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("scrape failed", client=str(client_address))


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = _CLIENT_SECONDS

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
