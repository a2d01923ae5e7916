"""Asking a container over HTTP whether it is ready: what it answers, and what it may not cost."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from density.engines.docker import netns
from density.engines.docker.netns import LONGEST_STATUS, ask_http, parse_status

pytestmark = pytest.mark.root


@contextmanager
def answering(answer: Callable[[socket.socket], None], heard: list[bytes] | None = None) -> Iterator[int]:
    """A server on a port of 127.0.0.1 that hears one question."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            stream, _ = server.accept()
            with stream, suppress(OSError):
                asked = stream.recv(4096)
                if heard is not None:
                    heard.append(asked)
                answer(stream)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 OK"),
        (b"HTTP/1.0 204\r\n\r\n", "204"),
        (b"HTTP/1.1 302 Found\n", "302 Found"),
        (b"HTTP/1.1 503 Not yet\r\n", "503 Not yet"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (b"HTTP/1.1 OK\r\n", "not HTTP"),
        (b"", "hung up without an answer"),
    ],
)
def test_what_an_answer_says(said: bytes, words: str) -> None:
    """Its first line alone decides."""
    with answering(lambda stream: stream.sendall(said)) as port:
        answer = ask_http(os.getpid(), port, "")
    assert (answer.is_ready, answer.words) == (words[0] in "23", words)


def test_an_answer_without_an_end_costs_what_its_first_line_does() -> None:
    """Of a line that goes on for ever, no more is read than a first line has."""

    def flood(stream: socket.socket) -> None:
        while True:
            stream.sendall(b"HTTP/1.1 200 " + b"x" * 65536)

    with answering(flood) as port:
        answer = ask_http(os.getpid(), port, "")
    assert answer.is_ready
    assert len(answer.words) <= LONGEST_STATUS


def test_an_answer_that_drips_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for an answer is for all of it: a letter now and then does not prolong it."""
    monkeypatch.setattr(netns, "PROBE_SECONDS", 0.3)

    def drip(stream: socket.socket) -> None:
        while True:
            stream.sendall(b"H")
            time.sleep(0.02)

    began = time.monotonic()
    with answering(drip) as port:
        answer = ask_http(os.getpid(), port, "")
    assert not answer.is_ready
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["a b", "a\r\nX: y", "/x", "x?y=1&z=%20"])
def test_a_path_stays_one_path(path: str) -> None:
    """What a profile asks for cannot become a second header."""
    heard: list[bytes] = []
    with answering(lambda stream: stream.sendall(b"HTTP/1.1 200 OK\r\n"), heard) as port:
        ask_http(os.getpid(), port, path)
    first, *others = heard[0].decode().split("\r\n")
    assert len(first.split(" ")) == 3
    assert [line.partition(":")[0] for line in others if line] == ["Host", "Connection"]


def test_a_status_may_have_bytes_that_are_no_text() -> None:
    """They are shown as such."""
    assert parse_status(b"HTTP/1.1 500 \xff\r").words == "500 \N{REPLACEMENT CHARACTER}"
