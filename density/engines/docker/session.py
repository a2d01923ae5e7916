"""The SDK's client, with what costs too much at thousands of containers put right."""

import socket
from typing import TYPE_CHECKING, Any

from docker import APIClient
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool
from requests import PreparedRequest

if TYPE_CHECKING:
    from requests import Response

CALL_SECONDS = 120
"""No answer by then is a failure. A create took seconds at 2,000 containers, so this is far beyond a slow one."""

SILENCE_SECONDS = 60
"""The SDK waits for ever on streams; after this much silence the stream is opened again."""
_ORIGIN = "http+docker://"


class LeanClient(APIClient):
    """Sends its requests straight to the adapter.

    There are no cookies, redirects, proxies, hooks or ~/.netrc between a client and its daemon; asking for them was a
    quarter of what a call costs.
    """

    def __init__(self, socket_url: str = "", **options: Any) -> None:  # noqa: ANN401 — the SDK's own
        """`socket_url`: `unix:///path` where the daemon listens on one, else empty; `options` are the SDK's."""
        super().__init__(**options)
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
        response = self.get_adapter(str(url)).send(
            request, stream=stream, timeout=options.get("timeout"), verify=self.verify or False, cert=self.cert
        )
        if stream:
            self._streams.append(response)
        else:
            _ = response.content  # gives the connection back
        return response

    def end_streams(self) -> None:
        """Let go of every stream that was opened, read to its end or not."""
        while self._streams:
            self._streams.pop().close()


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
