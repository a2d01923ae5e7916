"""The payload as a real process: over a socket, over a terminal, as PID 1, as a fork server."""

import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from density.payload.protocol import Begun, Benched, Pong, Ready, Refused, parse

Start = Callable[..., subprocess.Popen[bytes]]
MIB = 2**20


@pytest.fixture
def start(payload: Path) -> Iterator[Start]:
    """Start a payload; whatever still runs at the end is killed."""
    processes: list[subprocess.Popen[bytes]] = []

    def run(*words: str, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*before, str(payload), *words], stderr=subprocess.PIPE)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """A unix socket to connect to, at `tmp_path / "s"`."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        server.settimeout(10)
        yield server


@contextmanager
def connected(listener: socket.socket) -> Iterator[tuple[socket.socket, Ready]]:
    """The payload's connection and what it said first."""
    stream, _ = listener.accept()
    with stream:
        stream.settimeout(10)
        ready = parse(line(stream))
        assert isinstance(ready, Ready)
        yield stream, ready


def line(stream: socket.socket) -> str:
    """The next line from a socket."""
    said = b""
    while not said.endswith(b"\n"):
        more = stream.recv(1)
        assert more, "closed"
        said += more
    return said.decode().strip()


def arguments(listener: socket.socket, *more: str) -> tuple[str, ...]:
    """The command line of an instance `web-1` at this socket."""
    return ("--id", "web-1", "--run", "r1", "--socket", listener.getsockname(), *more)


def test_it_says_ready_answers_and_ends_with_its_socket(start: Start, listener: socket.socket) -> None:
    """Ready with id, kernel and age; pongs in order, CRLF or not; ends with 0 at once when the controller is gone."""
    process = start(*arguments(listener))
    with connected(listener) as (stream, ready):
        assert ready.instance_id == "web-1"
        assert ready.kernel == os.uname().release
        assert 0 < ready.uptime_seconds < 5
        stream.sendall(b"nonsense\nping 7\r\n\nping 18446744073709551615\n" + b"y" * 5000 + b"\nping 8\n")
        assert [line(stream) for _ in range(3)] == [f"density pong {n}" for n in (7, 18446744073709551615, 8)]
    assert process.wait(5) == 0


def test_it_ends_when_told(start: Start, listener: socket.socket) -> None:
    """`stop` ends it with 0 while the socket is open."""
    process = start(*arguments(listener))
    with connected(listener) as (stream, _):
        stream.sendall(b"stop\n")
        assert process.wait(5) == 0


def test_it_ends_on_sigterm_and_leaves_no_zombies(start: Start, listener: socket.socket) -> None:
    """SIGTERM ends it at once; it ignores SIGCHLD, so that the kernel reaps for it where it is PID 1."""
    process = start(*arguments(listener))
    with connected(listener):
        status = Path(f"/proc/{process.pid}/status").read_text()
        ignored = int(re.findall(r"SigIgn:\t(\w+)", status)[0], 16)
        assert ignored & 1 << signal.SIGCHLD - 1
        process.terminate()
        assert process.wait(5) == 0


@pytest.mark.parametrize("options", [(), ("--touch", str(MIB))])
def test_it_keeps_none_of_roots_powers(start: Start, listener: socket.socket, options: tuple[str, ...]) -> None:
    """Whoever starts it, it has no capability and can get none, and answers all the same."""
    process = start(*arguments(listener), *options)
    with connected(listener) as (stream, _):
        status = Path(f"/proc/{process.pid}/status").read_text()
        held = {name: int(re.findall(rf"{name}:\t(\w+)", status)[0], 16) for name in ("CapPrm", "CapEff", "CapInh")}
        assert held == {"CapPrm": 0, "CapEff": 0, "CapInh": 0}
        assert "NoNewPrivs:\t1" in status
        stream.sendall(b"ping 7\n")
        assert line(stream) == "density pong 7"


@pytest.mark.root
def test_pid_1_ends_on_sigterm(start: Start, listener: socket.socket) -> None:
    """As PID 1 of a PID namespace, where the default action is to ignore it, SIGTERM still ends it."""
    process = start(*arguments(listener), before=("unshare", "--pid", "--fork"))
    with connected(listener) as (stream, _):
        credentials = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, _, _ = struct.unpack("3i", credentials)
        assert re.search(r"NSpid:\t\d+.*\t1$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        os.kill(pid, signal.SIGTERM)
        assert process.wait(5) == 0


def test_an_idle_payload_sleeps(start: Start, listener: socket.socket) -> None:
    """Without a share to burn it waits for ever: at most it still goes to sleep after its pong."""
    process = start(*arguments(listener))
    with connected(listener) as (stream, _):
        stream.sendall(b"ping 1\n")
        line(stream)
        before = switches(process.pid)
        time.sleep(1)
        assert switches(process.pid) <= before + 1


def switches(pid: int) -> int:
    """How often a process went to sleep."""
    [count] = re.findall(r"^voluntary_ctxt_switches:\t(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(count)


def test_touched_memory_is_resident_and_different(start: Start, listener: socket.socket) -> None:
    """What it touches is resident before it is ready, and no two pages of two instances are alike."""
    pages: list[bytes] = []
    for _ in range(2):
        process = start(*arguments(listener, "--touch", str(4 * MIB)))
        with connected(listener):
            status = Path(f"/proc/{process.pid}/status").read_text()
            resident = 1024 * int(re.findall(r"RssAnon:\s+(\d+) kB", status)[0])
            assert 4 * MIB <= resident < 5 * MIB
            memory = touched(process.pid, 4 * MIB)
            pages += [memory[at : at + 4096] for at in range(0, len(memory), 4096)]
    assert len(pages) == len(set(pages)) == 2 * 1024


def touched(pid: int, size: int) -> bytes:
    """The contents of the mapping of this size, or of the one that has grown together with it."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    for begin, end in re.findall(r"^(\w+)-(\w+) rw-p 00000000 00:00 0 *$", maps, re.MULTILINE):
        if int(end, 16) - int(begin, 16) >= size:
            with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
                memory.seek(int(begin, 16))
                return memory.read(size)
    raise AssertionError("no such mapping")


def test_memory_that_cannot_be_had_is_told(start: Start, listener: socket.socket) -> None:
    """More memory than there is ends it with 71 and the system's words."""
    process = start(*arguments(listener, "--touch", str(2**62)))
    assert process.wait(5) == 71
    assert process.stderr is not None
    assert process.stderr.read() == b"web-1: cannot have 4611686018427387904 bytes of memory: Cannot allocate memory\n"


def test_it_burns_its_share_and_still_answers(start: Start, listener: socket.socket) -> None:
    """The share is CPU time of one CPU, and a ping in between waits for no whole period.

    What a busy host did not let it run for is no time in which it could have worked.
    """
    process = start(*arguments(listener, "--burn", "0.3"))
    with connected(listener) as (stream, _):
        begun, (used, waited) = time.monotonic(), cpu_seconds(process.pid)
        rounds = []
        while time.monotonic() - begun < 2:
            asked = time.monotonic()
            stream.sendall(b"ping 1\n")
            line(stream)
            rounds.append(time.monotonic() - asked)
            time.sleep(0.02)
        elapsed, (used_then, waited_then) = time.monotonic() - begun, cpu_seconds(process.pid)
    assert used_then - used < 0.35 * elapsed
    assert used_then - used > 0.2 * (elapsed - (waited_then - waited))
    assert sorted(rounds)[len(rounds) // 2] < 0.01


def cpu_seconds(pid: int) -> tuple[float, float]:
    """CPU time of a process in user and kernel mode, and how long it waited for a CPU."""
    used, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(used) / 1e9, int(waited) / 1e9


@pytest.mark.parametrize("by", ["environment", "file", "none"])
def test_it_says_its_secret(
    start: Start, listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """From a file, else from its environment; without one it says none. A file that is not there is an error."""
    words: tuple[str, ...] = ()
    if by != "none":
        monkeypatch.setenv("DENSITY_SECRET", "from-environment")
    if by == "file":
        (tmp_path / "secret").write_text("from-file\n")
        words = ("--secret", str(tmp_path / "secret"))
    start(*arguments(listener, *words))
    with connected(listener) as (_, ready):
        assert ready.secret == {"environment": "from-environment", "file": "from-file", "none": ""}[by]
    assert start(*arguments(listener, "--secret", str(tmp_path / "nowhere"))).wait(10) == 69


def test_no_controller_is_told(start: Start, tmp_path: Path) -> None:
    """Where nobody listens it tries for about a second, then ends with 69 and a sentence."""
    begun = time.monotonic()
    process = start("--id", "web-1", "--socket", str(tmp_path / "none"))
    assert process.wait(10) == 69
    assert time.monotonic() - begun < 5
    assert process.stderr is not None
    assert b"web-1: cannot reach the controller at" in process.stderr.read()


@contextmanager
def terminal() -> Iterator[tuple[int, str]]:
    """A terminal's controlling end and the path of its other end, echoing and cooked as a console is at first."""
    ours, theirs = os.openpty()
    try:
        yield ours, os.ttyname(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def read_until(descriptor: int, wanted: bytes) -> bytes:
    """What comes from a terminal, up to and with the wanted words; fails after ten seconds of silence."""
    said = b""
    while wanted not in said:
        assert select.select([descriptor], [], [], 10)[0], said
        said += os.read(descriptor, 4096)
    return said


def test_over_serial_it_speaks_raw_lines(start: Start) -> None:
    """It makes the terminal raw (nothing we say comes back), repeats ready until it hears something, and stops."""
    with terminal() as (ours, path):
        process = start("--id", "vm-1", "--serial", path, "--lease", "60")
        read_until(ours, b"density ready vm-1 ")
        said = read_until(ours, b"density ready vm-1 ")
        assert b"\r" not in said
        os.write(ours, b"lease 30\r\nping 5\n")
        assert b"lease" not in read_until(ours, b"density pong 5\n")
        os.write(ours, b"stop\n")
        assert process.wait(5) == 0


def test_over_serial_it_ends_with_its_lease(start: Start) -> None:
    """Without a renewal it ends when the lease is over, and a renewal counts from when it came."""
    with terminal() as (ours, path):
        process = start("--id", "vm-1", "--serial", path, "--lease", "60")
        read_until(ours, b"density ready vm-1 ")
        os.write(ours, b"lease 0.5\n")
        begun = time.monotonic()
        assert process.wait(10) == 0
        assert time.monotonic() - begun >= 0.5


def test_over_serial_its_end_is_the_terminals(start: Start) -> None:
    """A serial port that is gone ends it, lease or not."""
    with terminal() as (ours, path):
        process = start("--id", "vm-1", "--serial", path)
        read_until(ours, b"density ready vm-1 ")
        tty.setraw(ours)
    assert process.wait(10) == 0


def test_the_fork_server_kills_its_children_at_the_end_of_its_input(payload: Path, listener: socket.socket) -> None:
    """A controller that dies leaves no fork server and no instance, even one that is stopped."""
    server = subprocess.Popen(
        ["density-native", "--spawn", "--run", "r1"],
        executable=payload,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    with server, connected_child(server, listener) as pid:
        os.kill(pid, signal.SIGSTOP)
        descriptor = os.pidfd_open(pid)
        server.stdin.close()
        assert server.wait(5) == 0
        assert select.select([descriptor], [], [], 5)[0]
        os.close(descriptor)


@contextmanager
def connected_child(server: subprocess.Popen[bytes], listener: socket.socket) -> Iterator[int]:
    """The pid of an instance that the server was told to spawn, connected."""
    assert server.stdin is not None
    assert server.stdout is not None
    assert server.stdout.readline() == f"serving\t{server.pid}\n".encode()
    words = ("spawn", "web-1", "beef", "density-native", *arguments(listener))
    with suppress(BrokenPipeError):
        server.stdin.write("\t".join(words).encode() + b"\n")
        server.stdin.flush()
    verb, instance_id, pid = server.stdout.readline().decode().split("\t")
    assert (verb, instance_id) == ("spawned", "web-1")
    with connected(listener) as (_, ready):
        assert ready.secret == "beef"  # noqa: S105 — what it was given above
        yield int(pid)


def test_the_fork_server_kills_a_child_when_told(payload: Path, listener: socket.socket) -> None:
    """One of its own, by its pid, even one that is stopped; a process that is no child of it is left alone."""
    server = subprocess.Popen(
        ["density-native", "--spawn"], executable=payload, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin is not None
    assert server.stdout is not None
    with server, subprocess.Popen(["sleep", "60"]) as other, connected_child(server, listener) as pid:
        os.kill(pid, signal.SIGSTOP)
        server.stdin.write(f"kill\t{other.pid}\nkill\t{pid}\n".encode())
        server.stdin.flush()
        assert server.stdout.readline() == f"exited\t{pid}\t0\t9\n".encode()
        assert other.poll() is None
        other.kill()
        server.stdin.close()


def test_it_measures_what_it_runs_on(start: Start, listener: socket.socket, tmp_path: Path) -> None:
    """Every benchmark says that it began, then how much it did in about the time given; its files are gone."""
    start(*arguments(listener))
    with connected(listener) as (stream, _):
        for number, kind in enumerate(("integer", "memory", "syscall", "file", "disk")):
            stream.sendall(f"bench {number} {kind} 20 {tmp_path}\n".encode())
            assert parse(line(stream)) == Begun(number)
            done = parse(line(stream))
            assert isinstance(done, Benched)
            assert done.number == number
            assert done.amount > 0
            assert 0.02 <= done.seconds < 5
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [("dance 10", "Invalid argument"), ("file 10 /nowhere", "No such file or directory"), ("", "Invalid argument"),
     ("file 10 /proc", "No such file or directory"), ("file 10 " + "x" * 600, "File name too long")],
)  # fmt: skip
def test_a_benchmark_that_cannot_be_is_refused_in_words(
    start: Start, listener: socket.socket, request_: str, words: str
) -> None:
    """The payload lives on, and answers the next ping."""
    start(*arguments(listener))
    with connected(listener) as (stream, _):
        stream.sendall(f"bench 7 {request_}\nping 8\n".encode())
        assert parse(line(stream)) == Refused(7, words)
        assert parse(line(stream)) == Pong(8)


def test_it_says_ready_again_when_asked(start: Start, listener: socket.socket) -> None:
    """A controller that lost sight of it, as after a restore, learns who it is and how long it has been running."""
    start(*arguments(listener))
    with connected(listener) as (stream, ready):
        stream.sendall(b"hello\n")
        again = parse(line(stream))
        assert isinstance(again, Ready)
        assert again.instance_id == ready.instance_id
        assert again.uptime_seconds > ready.uptime_seconds
