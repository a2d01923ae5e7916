"""The SDK's client, with what costs too much at thousands of containers put right."""

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from docker import APIClient
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool
from requests import PreparedRequest

from density.log import logger

if TYPE_CHECKING:
    from requests import Response

log = logger(__name__)
CALL_SECONDS = 120
"""No answer by then is a failure. A create took seconds at 2,000 containers, so this is far beyond a slow one."""

SILENCE_SECONDS = 60
"""The SDK waits for ever on streams; after this much silence the stream is opened again."""
READ_BYTES = 65536
LONGEST_ERROR = 1000
"""Letters of a refusal that go into the log."""
_ORIGIN = "http+docker://"
_FRAME = struct.Struct(">BxxxL")


class Interrupt:
    """Ends the reading of a stream, from any thread.

    It shuts the connection down and no more. Closing it is for the thread that borrowed the client: what another
    thread closes may by then be a connection of somebody else's call.

    Attributes:
        fired: set once the reading is to end.
    """

    def __init__(self) -> None:
        self.fired = threading.Event()
        self._lock = threading.Lock()
        self._response: Response | None = None

    def attach(self, response: "Response") -> None:
        """From now on this is what is read."""
        with self._lock:
            self._response = response
            if self.fired.is_set():
                self._shut_down()

    def detach(self) -> None:
        """Nothing is read any more; from now on `fire` touches no connection."""
        with self._lock:
            self._response = None

    def fire(self) -> None:
        """End the reading, also one that has not begun yet."""
        with self._lock:
            self.fired.set()
            self._shut_down()

    def _shut_down(self) -> None:
        if self._response is not None:
            # One that was read to its end has no connection any more.
            with suppress(OSError, ValueError, RuntimeError):
                self._response.raw.shutdown()


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
    """Sends its requests straight to the adapter.

    There are no cookies, redirects, proxies, hooks or ~/.netrc between a client and its daemon; asking for them was a
    quarter of what a call costs.

    Attributes:
        interrupt: what ends the streams that are opened from now on; set by who borrows the client.
    """

    def __init__(self, socket_url: str = "", **options: Any) -> None:  # noqa: ANN401 — the SDK's own
        """`socket_url`: `unix:///path` where the daemon listens on one, else empty; `options` are the SDK's."""
        super().__init__(**options)
        self.interrupt: Interrupt | None = None
        self._streams: list[Response] = []
        if socket_url:
            self.mount(_ORIGIN, _OnePoolAdapter(f"http+{socket_url}", self.timeout))

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> "Response":  # type: ignore[override]  # noqa: ANN401 — `requests` has 14 of them
        """As `requests.Session.request`, for the options that the SDK uses."""
        request = PreparedRequest()
        request.prepare_method(str(method))
        request.prepare_url(str(url), options.get("params"))
        request.prepare_headers({**self.headers, **(options.get("headers") or {})})
        request.prepare_body(options.get("data"), None)
        stream = bool(options.get("stream"))
        began = time.monotonic()
        try:
            response = self.get_adapter(str(url)).send(
                request, stream=stream, timeout=options.get("timeout"), verify=self.verify or False, cert=self.cert
            )
        except Exception as error:
            _log_call(request, began, logging.WARNING, error=str(error))
            raise
        _log_answer(request, began, response)
        if stream:
            self._streams.append(response)
            if self.interrupt is not None:
                self.interrupt.attach(response)
        else:
            _ = response.content  # gives the connection back
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
        asked = {"stdout": 1, "stderr": 1, "follow": 1, "tail": tail}
        url = f"{self.base_url}/v{self.api_version}/containers/{container}/logs"
        response = self.request("GET", url, params=asked, stream=True, timeout=self.timeout)
        response.raise_for_status()
        frames, total = Frames(), 0
        while data := response.raw.read1(READ_BYTES):
            yield frames.feed(data)
            total += len(data)
            if total - len(data) < silence_after_bytes <= total and response.raw.connection is not None:
                response.raw.connection.sock.settimeout(silence_seconds)

    def end_streams(self) -> None:
        """Let go of every stream that was opened, read to its end or not."""
        if self.interrupt is not None:
            self.interrupt.detach()
            self.interrupt = None
        while self._streams:
            self._streams.pop().close()


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


class _OnePoolAdapter(UnixHTTPAdapter):
    """Keeps its one connection: the SDK's adapter opens a pool for every URL, so a connection for every container."""

    def __init__(self, socket_url: str, timeout: int) -> None:
        super().__init__(socket_url, timeout)
        self._pool = _Pool(_ORIGIN, self.socket_path, timeout)

    def get_connection(self, url: bytes | str, proxies: object = None) -> UnixHTTPConnectionPool:  # noqa: ARG002 — the SDK's signature
        return self._pool

    def send(self, *args: Any, **options: Any) -> "Response":  # noqa: ANN401 — the client alone calls this
        options["timeout"] = options.get("timeout") or SILENCE_SECONDS
        return super().send(*args, **options)

    def close(self) -> None:
        self._pool.close()
        super().close()


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> UnixHTTPConnection:  # type: ignore[override]  # the stubs of two packages disagree
        return _Connection(self.base_url, self.socket_path, CALL_SECONDS)


class _Connection(UnixHTTPConnection):
    """Does not leave its socket open where nobody listens, as the SDK's does."""

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except OSError:
            connection.close()
            raise
        self.sock = connection
