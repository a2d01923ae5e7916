"""Metrics over HTTP: what a scrape sees, in which format, and what happens to the port."""

import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from metrics.observed import beginning, ending, get, series, text_of
from metrics.test_address import make_certificate

from density.errors import UsageError
from density.metrics import Address, MetricsServer, listener
from density.metrics.listener import CLIENTS, HEADER_BYTES
from density.metrics.tls import tls_context
from density.state import RunState, fold

ANY_PORT = Address("127.0.0.1", 0)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """A scrape asks whichever event loop runs."""
    backend: str = request.param
    return backend


async def fetch(url: str, accept: str = "", *, tls: ssl.SSLContext | None = None) -> tuple[str, str]:
    """A scrape: its text and its type."""

    def blocking() -> tuple[str, str]:
        request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 — our own server
        with urllib.request.urlopen(request, timeout=30, context=tls) as answer:  # noqa: S310 — our own server
            return answer.read().decode(), answer.headers["Content-Type"]

    return await anyio.to_thread.run_sync(blocking)


async def test_scrapes_follow_the_run() -> None:
    """Each scrape sees every event that was handled before it, probes included; at the end the findings too."""
    state = RunState()
    async with MetricsServer(state, ANY_PORT) as server:
        assert await fetch(server.url) == ("", "text/plain; version=0.0.4; charset=utf-8")
        for event in beginning():
            state.apply(event)
            server.handle(event)
        text, _ = await fetch(server.url)
        assert series(text) == series(text_of(beginning()))
        for event in ending():
            state.apply(event)
            server.handle(event)
        text, _ = await fetch(server.url)
        assert series(text) == series(text_of([*beginning(), *ending()]))
        assert get(text, "density_verdict_confidence_ratio", ceiling="tasks.cgroup", subject="") > 0


async def test_openmetrics_is_spoken_where_asked_for() -> None:
    """A newer Prometheus gets the format it prefers, everybody else the plain one."""
    async with MetricsServer(fold(beginning()), ANY_PORT) as server:
        text, kind = await fetch(server.url, OPENMETRICS)
        _, plain = await fetch(server.url, "*/*")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert "# UNIT density_launch_seconds seconds\n" in text
    assert plain.startswith("text/plain")


async def test_the_port_is_free_again() -> None:
    """After leaving, also when cancelled, another server can have the same port at once."""
    with anyio.CancelScope() as scope:
        async with MetricsServer(RunState(), ANY_PORT) as server:
            port = int(server.url.split(":")[2].split("/")[0])
            scope.cancel()
    async with MetricsServer(RunState(), Address("127.0.0.1", port)) as again:
        await fetch(again.url)


async def test_a_port_in_use_is_one_clear_sentence() -> None:
    """It names the address and the option, and nothing is left listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address(*taken.getsockname())
        with pytest.raises(UsageError, match=f"at {address}: another program .* --metrics another HOST:PORT, or off"):
            async with MetricsServer(RunState(), address):
                pytest.fail("entered")


async def test_an_address_of_another_machine_is_one_clear_sentence() -> None:
    """An address that is not ours (192.0.2.0/24 is nobody's) says so."""
    with pytest.raises(UsageError, match=r"metrics cannot be served at 192\.0\.2\.1:0: .*; give --metrics an address"):
        async with MetricsServer(RunState(), Address("192.0.2.1", 0)):
            pytest.fail("entered")


async def test_other_paths_are_not_found() -> None:
    """The answer says where the metrics are."""
    async with MetricsServer(RunState(), ANY_PORT) as server:
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            await fetch(server.url + "x")
    with caught.value as answer:
        assert "The metrics are at /metrics" in answer.read().decode()


async def test_with_a_certificate_the_scrape_is_encrypted(tmp_path: Path) -> None:
    """The url says https, who trusts the certificate reads the metrics, and who speaks plain HTTP gets nothing."""
    certificate, key = make_certificate(tmp_path, "a")
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with MetricsServer(fold(beginning()), ANY_PORT, tls=tls_context(certificate, key)) as server:
        assert server.url.startswith("https://127.0.0.1:")
        text, _ = await fetch(server.url, tls=trusting)
        assert get(text, "density_wave") == 1
        with pytest.raises(OSError, match=r"closed|reset|aborted"):
            await fetch(server.url.replace("https", "http"))
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(server.url, tls=ssl.create_default_context())


async def test_a_client_that_says_nothing_holds_up_no_other(tmp_path: Path) -> None:
    """Neither before its handshake nor before its request."""
    certificate, key = make_certificate(tmp_path, "a")
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with MetricsServer(fold(beginning()), ANY_PORT, tls=tls_context(certificate, key)) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)):
            text, _ = await fetch(server.url, tls=trusting)
    assert get(text, "density_wave") == 1


def said(port: int, words: bytes, *, pause: float = 0.0, times: int = 1) -> bytes:
    """All that comes back to a client that says this, again and again with a pause, until it is hung up on."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        heard = b""
        with suppress(ConnectionError):
            for _ in range(times):
                client.sendall(words)
                time.sleep(pause)
            while more := client.recv(65536):
                heard += more
        return heard


def port_of(server: MetricsServer) -> int:
    """Where it listens."""
    return int(server.url.split(":")[2].split("/")[0])


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (b"GET /" + b"x" * HEADER_BYTES, b"414"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * HEADER_BYTES, b"431"),
        (b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * (HEADER_BYTES // 6), b"431"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /../metrics HTTP/1.1\r\n\r\n", b"404"),
        (b"GET //metrics HTTP/1.1\r\n\r\n", b"200"),
        (b"GET http://x/metrics HTTP/1.1\r\n\r\n", b"404"),
        (b"\x16\x03\x01\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_scrape_is_refused(words: bytes, status: bytes) -> None:
    """Long lines, many headers, other methods and other paths each have their answer, and none is read to its end."""
    async with MetricsServer(RunState(), ANY_PORT) as server:
        heard = await anyio.to_thread.run_sync(said, port_of(server), words)
        assert status in heard.split(b"\r\n")[0]
        assert b"Python" not in heard.partition(b"\r\n\r\n")[0]


async def test_a_client_has_a_time_for_all_of_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that sends a letter now and then keeps its thread no longer than one that sends none."""
    monkeypatch.setattr(listener, "CLIENT_SECONDS", 0.5)
    async with MetricsServer(RunState(), ANY_PORT) as server:
        began = anyio.current_time()
        slow = partial(said, port_of(server), b"X", pause=0.05, times=400)
        assert await anyio.to_thread.run_sync(slow) == b""
        assert anyio.current_time() - began < 10


async def test_more_clients_than_there_are_places_are_hung_up_on() -> None:
    """They cost neither a thread nor a descriptor, and once a place is free a scrape is answered."""
    async with MetricsServer(fold(beginning()), ANY_PORT) as server:
        port = port_of(server)
        before = threading.active_count()
        with ExitStack() as held:
            for _ in range(CLIENTS):
                held.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(50):
                assert await anyio.to_thread.run_sync(said, port, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
            assert threading.active_count() <= before + CLIENTS + 1
        with anyio.fail_after(30):
            asked = b"GET /metrics HTTP/1.0\r\n\r\n"
            while b"200" not in (await anyio.to_thread.run_sync(said, port, asked))[:20]:  # noqa: ASYNC110 — nobody tells
                await anyio.sleep(0.01)
