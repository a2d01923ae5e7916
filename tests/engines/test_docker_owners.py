"""Whose a listening socket is, and what an instance is asked with: on this host's own processes and loopback."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from density.engines.docker.owners import (
    Listener,
    answering,
    family,
    is_held_by,
    parse_listeners,
    read_listeners,
    sockets_of,
)
from density.engines.docker.readiness import Look

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0"
LOOPBACK, ANY, OTHER = "0100007F", "00000000", "0500000A"


@pytest.fixture
def listening() -> Iterator[tuple[int, int]]:
    """A port that a child of this process listens on, and the child's pid; its child holds the socket, too."""
    program = (
        "import os, socket, sys\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "if os.fork() == 0:\n"
        "    print(server.getsockname()[1], flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "server.close()\n"
        "os.wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process.pid
    finally:
        process.communicate()


def test_listeners(tmp_path: Path) -> None:
    """Listening sockets are those in state LISTEN, over IPv4 or IPv6; a process that is gone has none."""
    (tmp_path / "7/net").mkdir(parents=True)
    connected = f"   1: {LOOPBACK}:1F91 {LOOPBACK}:1F90 01 {REST} 42 1\n"
    (tmp_path / "7/net/tcp").write_text(f"{HEAD}   0: {LOOPBACK}:1F90 {ANY}:0000 0A {REST} 41 1\n{connected}")
    (tmp_path / "7/net/tcp6").write_text(f"{HEAD}   0: {'0' * 32}:01BB {'0' * 32}:0000 0A {REST} 43 1\n")
    assert read_listeners(7, tmp_path) == [Listener(LOOPBACK, 8080, 41), Listener("0" * 32, 443, 43)]
    assert read_listeners(8, tmp_path) == []
    assert list(parse_listeners(HEAD)) == []


@pytest.mark.parametrize(
    ("addresses", "answers"),
    [((LOOPBACK, ANY), (LOOPBACK,)), ((ANY, OTHER), (ANY,)), ((OTHER,), ()), (("0" * 32,), ("0" * 32,))],
)
def test_who_answers(addresses: tuple[str, ...], answers: tuple[str, ...]) -> None:
    """A connection to 127.0.0.1 goes to the exact address first, then to any address, and never to another one."""
    found = answering([Listener(address, 80, 1) for address in addresses] + [Listener(ANY, 81, 2)], 80)
    assert tuple(each.address for each in found) == answers


def test_a_socket_belongs_to_its_family(listening: tuple[int, int]) -> None:
    """A socket that a child of the first process holds is the instance's, and not one of this process."""
    port, pid = listening
    inodes = {each.inode for each in read_listeners(pid) if each.port == port}
    assert len(family(pid)) == 2
    assert inodes <= sockets_of(family(pid))
    assert not inodes & sockets_of([os.getpid()])


def test_a_port_of_the_host_that_another_container_has(tmp_path: Path) -> None:
    """Which containers hold it is told by their cgroups; a port that nobody has, or another program, is theirs not."""
    for pid, cgroup, inode in (("77", "/run/c0ffee", 41), ("78", "/user.slice", 42), ("79", "/run/decade", 43)):
        (tmp_path / pid / "fd").mkdir(parents=True)
        (tmp_path / pid / "cgroup").write_text(f"0::{cgroup}\n")
        (tmp_path / pid / "fd/3").symlink_to(f"socket:[{inode}]")
    (tmp_path / "1/net").mkdir(parents=True)
    listening = (f"   {n}: {ANY}:{port} {ANY}:0000 0A {REST} {inode} 1\n" for n, port, inode in
                 ((0, "1F90", 41), (1, "1F91", 42)))  # fmt: skip
    (tmp_path / "1/net/tcp").write_text(HEAD + "".join(listening))
    assert is_held_by(["c0ffee"], 8080, tmp_path)
    assert is_held_by(["c0ffee"], 0, tmp_path)
    assert not is_held_by(["c0ffee"], 8081, tmp_path)
    assert not is_held_by(["decade"], 8080, tmp_path)
    assert not is_held_by(["c0ffee"], 9, tmp_path)


def test_a_port_of_somebody_else_is_no_readiness(listening: tuple[int, int]) -> None:
    """In a network that is shared, the same port is ready for the process that listens and for no other."""
    port, pid = listening
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as stranger:
        mine, others = Look(pid, port, shared=True), Look(stranger.pid, port, shared=True)
        for look in (mine.listens, mine.answers):
            answer = look()
            assert answer is not None
            assert answer.is_ready
        assert others.listens() is None
        assert others.answers() is None
        alone = Look(stranger.pid, port, shared=False).listens()
        assert alone is not None, "in a network of its own nobody else can listen"
        assert alone.is_ready


def test_what_listens_instead_is_said() -> None:
    """Where nothing listens on the port asked for, the answer names what does."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        wanted, known = server.getsockname()[1], other.getsockname()[1]
        server.close()
        look = Look(os.getpid(), wanted, shared=True)
        answer = look.listens()
        assert answer is not None
        assert not answer.is_ready
        assert str(known) in answer.words
        refused = look.answers()
        assert refused is not None
        assert refused.words == "connection refused"
