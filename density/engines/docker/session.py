"""The SDK's client, without what costs too much at thousands of containers, trusts any answer or waits for ever."""

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, Any

from docker import APIClient
from docker.errors import APIError, NotFound
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import DecodeError, InvalidHeader

from density.engines.docker.answers import MalformedAnswerError, parse_json, shown
from density.log import logger

if TYPE_CHECKING:
    from docker.tls import TLSConfig
    from requests import Response

log = logger(__name__)
READ_BYTES = 65536
LARGEST_ANSWER_BYTES = 256 * 2**20
"""A list of 100,000 containers has 150 MB."""
LONGEST_LINE_BYTES = 2**20
"""Of a stream of documents."""
LONGEST_ERROR = 1000
"""Letters of a refusal that go into the log."""
_ORIGIN = "http+docker://"
_FRAME = struct.Struct(">BxxxL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how long a daemon is waited for, in seconds.

    Attributes:
        hello: for its first answers, before anything was made.
        answer: for the answer to a question. Lists took seconds at 2,000 containers, so this is far beyond a slow one.
        work: for a container that is made or started, and for what is made of images.
        silence: on a stream; after that it is opened again.
        give_up: once whoever asked is interrupted, for the answer to what makes something: so that it is known.
        leave: for what still waits for an answer when the engine is left.
        gone: a daemon that cannot be asked for so long is gone; before, its launches fail one by one.
        farewell: for all payloads that were told to go, before they are removed by force.
    """

    hello: float = 20.0
    answer: float = 60.0
    work: float = 120.0
    silence: float = 60.0
    give_up: float = 10.0
    leave: float = 5.0
    gone: float = 10.0
    farewell: float = 10.0


class Interrupt:
    """Ends whatever a borrowed client waits for, from any thread.

    It shuts connections down and no more. Closing them is for the thread that borrowed the client: what another
    thread closes may by then be a connection of somebody else's call.

    Attributes:
        fired: set once the waiting is to end.
    """

    def __init__(self) -> None:
        self.fired = threading.Event()
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []

    def attach(self, connections: list[socket.socket]) -> None:
        """From now on these are waited for, and those that are added to the list by `added`."""
        with self._lock:
            self._connections = connections
            if self.fired.is_set():
                self._shut_down()

    def added(self) -> None:
        """A connection was made that is waited for from now on."""
        with self._lock:
            if self.fired.is_set():
                self._shut_down()

    def detach(self) -> None:
        """Nothing is waited for any more; from now on `fire` touches no connection."""
        with self._lock:
            self._connections = []

    def fire(self) -> None:
        """End the waiting, also one that has not begun yet."""
        with self._lock:
            self.fired.set()
            self._shut_down()

    def _shut_down(self) -> None:
        for connection in self._connections:
            with suppress(OSError):  # it is not connected any more
                # TLS would have to say goodbye first, to somebody who may not listen.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Frames:
    """Takes the daemon's framing of a container's output away: before each piece it says of which stream and how long.

    Both streams come out as one, in the daemon's order.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> bytes:
        """What is complete now; the data may be cut anywhere."""
        self._waiting += data
        pieces, at, size = [], 0, len(self._waiting)
        while size - at >= _FRAME.size:
            end = at + _FRAME.size + _FRAME.unpack_from(self._waiting, at)[1]
            if end > size:
                break
            pieces.append(self._waiting[at + _FRAME.size : end])
            at = end
        del self._waiting[:at]
        return b"".join(pieces)


class LeanClient(APIClient):
    """Sends its requests straight to the adapter, and believes nothing that comes back.

    There are no cookies, redirects, proxies, hooks or ~/.netrc between a client and its daemon; asking for them was a
    quarter of what a call costs.
    """

    def __init__(self, endpoint_url: str, *, version: str, tls: "TLSConfig | None", silence_seconds: float) -> None:
        """`endpoint_url`: `unix:///path` or `tcp://host:port`; `version`: of the API that is spoken."""
        super().__init__(base_url=endpoint_url, version=version, tls=tls or False)
        self._silence_seconds = silence_seconds
        self._interrupt: Interrupt | None = None
        self._streams: list[Response] = []
        self._connections: list[socket.socket] = []
        if endpoint_url.startswith("unix://"):
            self.mount(_ORIGIN, _OnePoolAdapter(f"http+{endpoint_url}", self._connected))
        else:
            adapter = self.get_adapter(self.base_url)
            assert isinstance(adapter, HTTPAdapter)
            pools = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
            adapter.poolmanager.pool_classes_by_scheme = {
                scheme: _noting(pool, self._connected) for scheme, pool in pools.items()
            }

    def begin(self, seconds: float, interrupt: Interrupt | None) -> None:
        """From now on each answer has so many seconds, and the interrupt may end what is waited for."""
        self.timeout = seconds  # type: ignore[assignment]  # the stubs know of whole seconds alone
        self._interrupt = interrupt
        if interrupt is not None:
            interrupt.attach(self._connections)

    def end(self) -> None:
        """Let go of every stream that was opened, read to its end or not, and of the interrupt."""
        if self._interrupt is not None:
            self._interrupt.detach()
            self._interrupt = None
        while self._streams:
            self._streams.pop().close()

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> "Response":  # type: ignore[override]  # noqa: ANN401 — `requests` has 14 of them
        """As `requests.Session.request`, for the options that the SDK uses."""
        request = PreparedRequest()
        request.prepare_method(str(method))
        request.prepare_url(str(url), options.get("params"))
        request.prepare_headers({**self.headers, **(options.get("headers") or {})})
        request.prepare_body(options.get("data"), None)
        stream = bool(options.get("stream"))
        # The SDK would wait for ever on streams.
        timeout = options.get("timeout") or self._silence_seconds
        began = time.monotonic()
        try:
            response = self.get_adapter(str(url)).send(
                request, stream=True, timeout=timeout, verify=self.verify or False, cert=self.cert
            )
            if stream:
                self._streams.append(response)
            if not stream or response.status_code >= HTTPStatus.BAD_REQUEST:
                _read_all(response)  # gives the connection back
        except Exception as error:
            _log_call(request, began, logging.WARNING, error=str(error))
            if _is_nonsense(error):
                *_, cause = layers(error)
                raise MalformedAnswerError(f"its answer is no HTTP: {shown(cause)}") from error
            raise
        _log_answer(request, began, response)
        return response

    def follow_log(
        self, container: str, *, tail: str, silence_seconds: float, silence_after_bytes: int
    ) -> Iterator[bytes]:
        """What a container without a terminal prints, as it comes, until it ends or its log does. Blocks.

        Unlike the SDK's own it asks nothing beside the log (that takes a second connection), and reads as much at once
        as there is.

        Args:
            tail: how many lines of what is there already; `all`.
            silence_seconds: after which reading fails with a time-out, once so many bytes were read.
            silence_after_bytes: how many; before, silence is waited out for as long as on every stream.
        """
        response = self._log(container, tail=tail, follow=True)
        frames, total = Frames(), 0
        while data := response.raw.read1(READ_BYTES):
            yield frames.feed(data)
            total += len(data)
            if total - len(data) < silence_after_bytes <= total and response.raw.connection is not None:
                response.raw.connection.sock.settimeout(silence_seconds)

    def read_log(self, container: str, *, lines: int) -> bytes:
        """The last lines of what a container without a terminal printed. Blocks."""
        return Frames().feed(self._log(container, tail=str(lines), follow=False).content)

    def _log(self, container: str, *, tail: str, follow: bool) -> "Response":
        asked = {"stdout": 1, "stderr": 1, "follow": int(follow), "tail": tail}
        url = f"{self.base_url}/v{self.api_version}/containers/{container}/logs"
        timeout = self._silence_seconds if follow else self.timeout
        response = self.request("GET", url, params=asked, stream=follow, timeout=timeout)
        self._raise_for_status(response)
        return response

    def _connected(self, connection: socket.socket) -> None:
        self._connections[:] = [each for each in self._connections if each.fileno() >= 0] + [connection]
        if self._interrupt is not None:
            self._interrupt.added()

    # What the SDK reads answers with:

    def _raise_for_status(self, response: "Response") -> None:
        """Raise what the daemon said where that is no success; its words may have any shape."""
        if response.is_redirect:
            raise MalformedAnswerError(f"it says to ask elsewhere: {shown(response.headers['location'])}")
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return
        kind = NotFound if response.status_code == HTTPStatus.NOT_FOUND else APIError
        raise kind(f"status {response.status_code}", response=response, explanation=_explanation(response))

    def _result(self, response: "Response", json: bool = False, binary: bool = False) -> object:  # noqa: FBT001, FBT002 — the SDK's signature
        self._raise_for_status(response)
        if json:
            return parse_json(response.content)
        return response.content if binary else response.text

    def _stream_helper(self, response: "Response", decode: bool = False) -> Iterator[object]:  # noqa: FBT001, FBT002 — the SDK's signature
        """A stream's pieces as they come, or its documents, one a line."""
        self._raise_for_status(response)
        pieces = iter(lambda: response.raw.read1(READ_BYTES), b"")
        return map(parse_json, _lines(pieces)) if decode else pieces


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that have something in them; the last one may lack its end."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        *lines, rest = waiting.split(b"\n")
        waiting = rest
        yield from (bytes(line) for line in lines if line.strip())
        if len(waiting) > LONGEST_LINE_BYTES:
            raise MalformedAnswerError("a line of its stream does not end")
    if waiting.strip():
        yield bytes(waiting)


def layers(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was made of by the libraries, the first cause last."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        wrapped = [part for part in inner.args if isinstance(part, BaseException)]
        inner = wrapped[-1] if wrapped else inner.__cause__ or inner.__context__


def _is_nonsense(error: BaseException) -> bool:
    """Whether something answered, and not by the rules of HTTP; who hung up amid an answer said nothing wrong."""
    return any(
        isinstance(each, HTTPException | DecodeError | InvalidHeader)
        and not isinstance(each, RemoteDisconnected | IncompleteRead)
        for each in layers(error)
    )


def _read_all(response: "Response") -> None:
    read = bytearray()
    for piece in response.iter_content(READ_BYTES):
        read += piece
        if len(read) > LARGEST_ANSWER_BYTES:
            response.close()
            raise MalformedAnswerError("its answer does not end")
    response._content = bytes(read)  # noqa: SLF001 — `requests` itself would read without a bound


def _explanation(response: "Response") -> str:
    """The daemon's words in a refusal: a JSON document with a `message`, or plain text."""
    with suppress(MalformedAnswerError):
        found = parse_json(response.content)
        if isinstance(found, dict) and isinstance(found.get("message"), str):
            return str(found["message"])
    return response.content.decode(errors="replace").strip()[:LONGEST_ERROR] or f"status {response.status_code}"


def _log_answer(request: PreparedRequest, began: float, response: "Response") -> None:
    """Refusals as warnings; what is not there, or is so already, is an ordinary answer where something is removed."""
    if response.status_code < HTTPStatus.BAD_REQUEST:
        _log_call(request, began, logging.DEBUG, status=response.status_code)
        return
    ordinary = response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
    level = logging.INFO if ordinary else logging.WARNING
    _log_call(request, began, level, status=response.status_code, error=response.text[:LONGEST_ERROR])


def _log_call(request: PreparedRequest, began: float, level: int, **facts: object) -> None:
    seconds = round(time.monotonic() - began, 4)
    log.log(level, "call", engine="docker", method=request.method, path=request.path_url, seconds=seconds, **facts)


Noted = Callable[[socket.socket], None]
"""Takes a connection that was made."""


def _noting(pool: type[HTTPConnectionPool], noted: Noted) -> type[HTTPConnectionPool]:
    """Such pools, of which each connection is noted."""
    made: Any = pool.ConnectionCls

    class Connection(made):  # type: ignore[misc]  # which one depends on the pool
        def connect(self) -> None:
            super().connect()
            noted(self.sock)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


class _OnePoolAdapter(UnixHTTPAdapter):
    """Keeps its one connection: the SDK's adapter opens a pool for every URL, so a connection for every container."""

    def __init__(self, socket_url: str, noted: Noted) -> None:
        super().__init__(socket_url)
        self._pool = _Pool(self.socket_path, noted)

    def get_connection(self, url: bytes | str, proxies: object = None) -> UnixHTTPConnectionPool:  # noqa: ARG002 — the SDK's signature
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


class _Pool(UnixHTTPConnectionPool):
    def __init__(self, socket_path: str, noted: Noted) -> None:
        super().__init__(_ORIGIN, socket_path)
        self._noted = noted

    def _new_conn(self) -> UnixHTTPConnection:  # type: ignore[override]  # the stubs of two packages disagree
        return _Connection(self.base_url, self.socket_path, self._noted)


class _Connection(UnixHTTPConnection):
    """Does not leave its socket open where nobody listens, as the SDK's does."""

    def __init__(self, base_url: str, socket_path: str, noted: Noted) -> None:
        super().__init__(base_url, socket_path)
        self._noted = noted

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except OSError:
            connection.close()
            raise
        self.sock = connection
        self._noted(connection)
