"""Asking an engine whether it answers, over a real socket."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from density.setup import answers


@contextmanager
def engine_saying(path: Path, reply: bytes) -> Iterator[None]:
    """A listening socket that gives one client this reply."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], endpoint: str) -> tuple[int, str]:
    """Status and line about the Docker engine at an endpoint."""
    monkeypatch.setenv("DOCKER_HOST", endpoint)
    monkeypatch.setattr("sys.argv", ["answers.py", "docker"])
    return answers.main(), capsys.readouterr().out


def test_engine_says_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answering engine gives status 0, its version and where it is."""
    body = b'{"Version": "27.1"}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with engine_saying(tmp_path / "e", reply):
        assert ask(monkeypatch, capsys, f"unix://{tmp_path}/e") == (0, f"27.1  unix://{tmp_path}/e\n")


def test_something_else_is_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another server at the socket is told apart in one line, without a traceback."""
    with engine_saying(tmp_path / "e", b"220 mail ready\r\n"):
        status, line = ask(monkeypatch, capsys, f"unix://{tmp_path}/e")
    assert status == 1
    assert "is no Docker engine" in line


def test_nothing_there_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A socket that is not there gives status 1."""
    status, _ = ask(monkeypatch, capsys, f"unix://{tmp_path}/none")
    assert status == 1


def test_endpoint_that_needs_a_client_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine behind ssh or TLS is the user's business: it counts as there."""
    assert ask(monkeypatch, capsys, "ssh://somebody@elsewhere") == (0, "not asked  ssh://somebody@elsewhere\n")


def test_refusal_is_told_apart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A running engine that refuses this user gives status 3, so that it is not started a second time."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(http.client.HTTPConnection, "request", refuse)
    assert ask(monkeypatch, capsys, "unix:///var/run/docker.sock") == (3, "[Errno 13] Permission denied\n")


@pytest.mark.libvirt
def test_libvirt_says_its_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The real daemon answers with its version."""
    monkeypatch.setattr("sys.argv", ["answers.py", "libvirt"])
    assert answers.main() == 0
    assert capsys.readouterr().out.endswith("qemu:///system\n")
