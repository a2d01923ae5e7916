"""A Docker daemon that answers what a test tells it to, on a unix socket: for what a real one does too rarely."""

import json
import socketserver
import struct
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = dict[str, Any] | list[Any] | Iterator[bytes]
"""A document, or the chunks of a stream."""
Respond = Callable[[dict[str, str]], Answer]
"""From the question's parameters to the answer."""


def framed(text: str) -> bytes:
    """Output of a container, as the daemon frames it."""
    data = text.encode()
    return struct.pack(">BxxxL", 1, len(data)) + data


class FakeDocker(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers by path, without the version in it; counts the connections that were made to it."""

    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, socket_path: Path, answers: dict[str, Respond]) -> None:
        self.answers = answers
        self.connections = 0
        super().__init__(str(socket_path), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 — the library's own
        """Count it."""
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "a unix socket has none"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — the library's own
        """Say nothing."""

    def do_GET(self) -> None:
        """Look the answer up."""
        assert isinstance(self.server, FakeDocker)
        parts = urlsplit(self.path)
        path = parts.path
        if path.startswith("/v1"):
            path = "/" + path[1:].partition("/")[2]
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        answer = self.server.answers.get(path)
        if answer is None:
            self._document(404, {"message": f"no such object: {path}"})
            return
        found = answer(query)
        if isinstance(found, dict | list):
            self._document(200, found)
        else:
            self._stream(found)

    def _document(self, status: int, document: Any) -> None:  # noqa: ANN401 — any JSON
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, chunks: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for chunk in chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True


@contextmanager
def fake_docker(directory: Path, answers: dict[str, Respond]) -> Generator[FakeDocker]:
    """The daemon while this is entered, on `docker.sock` in the directory."""
    version = {"ApiVersion": "1.41", "Version": "20.10"}
    with FakeDocker(directory / "docker.sock", {"/version": lambda _: version, **answers}) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
