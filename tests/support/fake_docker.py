"""A Docker daemon that answers what a test tells it to, on a unix socket: for what a real one does too rarely."""

import json
import socketserver
import struct
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Question:
    """What the daemon is asked: the path without the API's version, the parameters, the document that was sent."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    document: Any = None


@dataclass(frozen=True)
class Status:
    """An answer of another status than 200; None: without a document."""

    code: int
    document: Any = None


@dataclass(frozen=True)
class Wire:
    """These bytes as they are, in pieces, with nothing of HTTP added; then the connection is closed."""

    pieces: Iterable[bytes]


Answer = dict[str, Any] | list[Any] | Iterator[bytes] | Status | Wire
"""A document, or the chunks of a stream, or something else."""
Respond = Callable[[dict[str, str]], Answer]
"""From the question's parameters to the answer."""
Daemon = Callable[[Question], Answer]


def framed(text: str) -> bytes:
    """Output of a container, as the daemon frames it."""
    data = text.encode()
    return struct.pack(">BxxxL", 1, len(data)) + data


def by_path(answers: Mapping[str, Respond]) -> Daemon:
    """A daemon that answers by path alone, and has nothing else."""

    def answer(question: Question) -> Answer:
        respond = answers.get(question.path)
        if respond is None:
            return Status(404, {"message": f"no such object: {question.path}"})
        return respond(dict(question.query))

    return answer


class FakeDocker(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Lets a daemon answer, each connection in a thread; counts the connections that were made to it."""

    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, socket_path: Path, daemon: Daemon) -> None:
        self.daemon = daemon
        self.connections = 0
        super().__init__(str(socket_path), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 — the library's own
        """Count it."""
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 — the library's own
        """Clients may hang up at any time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "a unix socket has none"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — the library's own
        """Say nothing."""

    def do_GET(self) -> None:
        """Let the daemon answer."""
        assert isinstance(self.server, FakeDocker)
        answer = self.server.daemon(self._question())
        if isinstance(answer, Wire):
            self._wire(answer)
        elif isinstance(answer, Status):
            self._document(answer.code, answer.document)
        elif isinstance(answer, dict | list):
            self._document(200, answer)
        else:
            self._stream(answer)

    do_POST = do_DELETE = do_GET  # noqa: N815 — the library calls them by these names

    def _question(self) -> Question:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if path.startswith("/v1"):
            path = "/" + path[1:].partition("/")[2]
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        document = json.loads(sent) if sent and "json" in self.headers.get("Content-Type", "") else None
        return Question(self.command, path, query, document)

    def _document(self, status: int, document: Any) -> None:  # noqa: ANN401 — any JSON
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
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

    def _wire(self, answer: Wire) -> None:
        self.close_connection = True
        for piece in answer.pieces:
            self.wfile.write(piece)


@contextmanager
def served(directory: Path, daemon: Daemon) -> Generator[FakeDocker]:
    """The daemon while this is entered, on `docker.sock` in the directory."""
    with FakeDocker(directory / "docker.sock", daemon) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def fake_docker(directory: Path, answers: dict[str, Respond]) -> Generator[FakeDocker]:
    """A daemon that answers by path alone, on `docker.sock` in the directory."""
    version = {"ApiVersion": "1.41", "Version": "20.10"}
    with served(directory, by_path({"/version": lambda _: version, **answers})) as server:
        yield server
