"""Streams of a Docker daemon: who ends them, who closes their connections, and what is read of a log."""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from engines.contract import short_directory
from support.fake_docker import FakeDocker, Respond, fake_docker, framed

from density.engines.docker import log as log_module
from density.engines.docker.client import Clients, Endpoint
from density.engines.docker.feed import INSTANCE_LABEL, Feed, Heard
from density.engines.docker.log import (
    CPU_BURST_SECONDS,
    CPU_SHARE,
    LONGEST_LINE,
    OVERLAP,
    Budget,
    Lines,
    LogFollower,
    evidence,
    is_in,
    read_tail,
)
from density.engines.docker.session import Frames

LOG = "/containers/one/logs"
NEVER = re.compile("never")
QUICK_SECONDS = 0.02


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path, for a socket."""
    with short_directory() as found:
        yield found


def connected(directory: Path, *, concurrency: int = 4) -> Clients:
    """Clients of the fake daemon in this directory."""
    clients = Clients(Endpoint(f"unix://{directory}/docker.sock"), concurrency=concurrency)
    anyio.run(clients.connect)
    return clients


def open_sockets(server: FakeDocker) -> int:
    """Connections of this process to the daemon, as the kernel lists them: each has two ends here."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(f" {server.server_address}") and " 03 " in line for line in lines)


def until(true: object, *, seconds: float = 5.0) -> None:
    """Wait until a function gives something true; fail after so long."""
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Pausing:
    """A pattern that holds its follower in the middle of a log, as a busy host does."""

    def __init__(self) -> None:
        self.reading, self.go_on = threading.Event(), threading.Event()

    def search(self, *_: object) -> None:
        """Match nothing, after a while."""
        self.reading.set()
        self.go_on.wait(5)


def test_a_follower_never_closes_a_connection_that_was_given_back(directory: Path) -> None:
    """Ended from another thread just before it reads the end of its log, it leaves no closed socket to later calls."""
    tty = {"Config": {"Tty": False}}
    answers: dict[str, Respond] = {
        LOG: lambda _: iter([framed("one\n")]),
        "/info": lambda _: {"ok": 1},
        "/containers/one/json": lambda _: tty,
    }
    with fake_docker(directory, answers) as server:
        clients = connected(directory)
        for _ in range(5):
            pattern = Pausing()
            follower = LogFollower(clients, "one", pattern, Budget())  # type: ignore[arg-type]
            thread = threading.Thread(target=follower.run)
            thread.start()
            assert pattern.reading.wait(5)
            time.sleep(QUICK_SECONDS)  # the end of the log has come by now
            follower.close()
            pattern.go_on.set()
            thread.join(5)
            with clients.borrow() as client:
                assert client.info() == {"ok": 1}
        clients.close()
        until(lambda: open_sockets(server) == 0)


def test_a_follower_is_ended_while_its_log_is_silent(directory: Path) -> None:
    """It does not wait for the next line, and its connection is closed with it."""
    silence, began = threading.Event(), threading.Event()

    def answer(_: dict[str, str]) -> Iterator[bytes]:
        yield framed("one\n")
        began.set()
        silence.wait(30)

    with fake_docker(directory, {LOG: answer}) as server:
        clients = connected(directory)
        follower = LogFollower(clients, "one", NEVER, Budget())
        thread = threading.Thread(target=follower.run)
        thread.start()
        assert began.wait(5)
        follower.close()
        thread.join(5)
        assert not thread.is_alive()
        silence.set()
        clients.close()
        until(lambda: open_sockets(server) == 0)


def test_the_feed_is_ended_while_nothing_happens(directory: Path) -> None:
    """Closing it ends its thread and its connection; events before that were handed on once each, also when resent."""
    silence = threading.Event()
    heard: list[Heard] = []
    event = {
        "Action": "health_status: unhealthy",
        "Actor": {"Attributes": {INSTANCE_LABEL: "a"}},
        "time": 7,
        "timeNano": 7_000_000_001,
    }

    def answer(_: dict[str, str]) -> Iterator[bytes]:
        yield json.dumps(event).encode() + b"\n"
        if len(sent) < 2:
            sent.append(1)
            return
        silence.wait(30)

    sent: list[int] = []
    with fake_docker(directory, {"/events": answer}) as server:
        clients = connected(directory)
        feed = Feed(clients, "r1", since=1)
        thread = threading.Thread(target=feed.run, args=(heard.append,))
        thread.start()
        until(lambda: len(sent) == 2 and feed.down_since is None)
        feed.close()
        thread.join(5)
        assert not thread.is_alive()
        silence.set()
        clients.close()
        until(lambda: open_sockets(server) == 0)
    assert [each for each in heard if each.what != "missed"] == [Heard("unhealthy", "a")]


def test_connections_are_not_hoarded(directory: Path) -> None:
    """However many were borrowed at once, no more are kept than calls go at once; closed, none is, not even late."""
    with fake_docker(directory, {"/info": lambda _: {}}) as server:
        clients = connected(directory, concurrency=2)
        barrier = threading.Barrier(12)

        def ask() -> None:
            with clients.borrow() as client:
                client.info()
                barrier.wait(10)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: open_sockets(server) <= 2)
        with clients.borrow() as client:
            client.info()
            clients.close()
        until(lambda: open_sockets(server) == 0)


def test_a_line_that_the_follower_missed_is_found_in_the_tail(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that outran its follower is looked at from its end, while it goes on and once it is silent."""
    monkeypatch.setattr(log_module, "LOOK_SECONDS", QUICK_SECONDS)
    much = [framed("x" * 999 + "\n") * 100] * 12
    silence = threading.Event()

    def answer(query: dict[str, str]) -> Iterator[bytes]:
        if query["tail"] != "all":
            yield framed("before\nREADY\r\n")
            return
        yield from much
        silence.wait(30)

    with fake_docker(directory, {LOG: answer, "/containers/one/json": lambda _: {"Config": {"Tty": False}}}):
        clients = connected(directory)
        follower = LogFollower(clients, "one", re.compile("^READY$"), Budget())
        result: list[bool] = []
        thread = threading.Thread(target=lambda: result.append(follower.run()))
        thread.start()
        thread.join(5)
        silence.set()
        follower.close()
        assert result == [True]
        assert read_tail_of(clients) == ("before", "READY")
        clients.close()


def read_tail_of(clients: Clients) -> tuple[str, ...]:
    """The last lines of the log."""
    with clients.borrow() as client:
        return read_tail(client, "one", lines=20)


@pytest.mark.parametrize("size", [1, 3, 7, 64, 4096])
def test_frames_and_lines_may_be_cut_anywhere(size: int) -> None:
    """Neither a header nor a character of several bytes nor a line has to come in one piece."""
    data = framed("première\r\nlig") + framed("") + framed("ne: prête\r\nunfinished")
    frames, lines = Frames(), Lines(re.compile("^ligne: prête$"))
    found = [lines.matches(frames.feed(data[at : at + size])) for at in range(0, len(data), size)]
    assert any(found)
    assert lines.seen == 2


def test_a_line_without_an_end_is_looked_at_too() -> None:
    """A prompt is found before its line ends, and megabytes without a line feed are not kept."""
    lines = Lines(re.compile("login: $"))
    assert not lines.matches(b"x" * 10_000_000)
    assert lines.matches(b"\nlogin: ")
    assert lines.seen == 1


@pytest.mark.parametrize("wanted", ["^ready$", "ready to accept", r".*ready", r"\bready\b.*now$"])
@pytest.mark.parametrize("size", [200, 4096, 16384])
def test_a_line_without_an_end_costs_what_it_is_long(wanted: str, size: int) -> None:
    """Twice as much of it takes twice the time, whatever is looked for and however it comes, and little is kept."""
    pattern = Counted(wanted)
    lines = Lines(pattern)  # type: ignore[arg-type]
    spent = []
    for _ in range(2):
        before = pattern.letters
        for _ in range(LETTERS // size):
            assert not lines.matches(b"x" * size)
        spent.append(pattern.letters - before)
    assert spent[1] <= 1.1 * spent[0]
    assert spent[0] <= (OVERLAP / size + 2) * LETTERS
    assert pattern.longest <= LONGEST_LINE
    assert len(lines._begun) <= LONGEST_LINE + size
    assert lines.matches(b" ready now\nready\n" if "^" in wanted else b" ready to accept now")


LETTERS = 2**17


class Counted:
    """A pattern that counts how much of lines is searched."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)
        self.letters = self.longest = 0

    def search(self, line: str, begin: int, end: int) -> object:
        """As a pattern's."""
        letters = min(len(line), end) - begin
        self.letters += letters
        self.longest = max(self.longest, letters)
        return self._pattern.search(line, begin, end)


@pytest.mark.parametrize("where", [0, 1, LONGEST_LINE - 3, LONGEST_LINE, 3 * LONGEST_LINE + 17])
@pytest.mark.parametrize("size", [64, 4096, 2**20])
def test_a_long_line_is_searched_everywhere(where: int, size: int) -> None:
    """Also across the parts that it is searched in; its beginning is where it begins alone."""
    line = b"x" * where + b"ready" + b"x" * (4 * LONGEST_LINE)
    for wanted, found in (("ready", True), ("^ready", where == 0), ("^xready", where == 1)):
        lines = Lines(re.compile(wanted))
        pieces = [(line + b"\n")[at : at + size] for at in range(0, len(line) + 1, size)]
        assert any(map(lines.matches, pieces)) == found
        assert is_in(re.compile(wanted), line.decode()) == found


def test_floods_take_no_whole_core(directory: Path) -> None:
    """Containers that print without an end are read at a share of a CPU together, and their ends are still found."""
    flood = framed("x" * 16384)

    def answer(query: dict[str, str]) -> Iterator[bytes]:
        if query["tail"] != "all":
            yield framed("x" * 100_000 + "\nREADY\n")
            return
        while True:
            yield flood

    with fake_docker(directory, {LOG: answer}):
        clients, budget = connected(directory), Budget()
        followers = [LogFollower(clients, "one", re.compile(".*READY$"), budget) for _ in range(3)]
        spent: list[float] = []

        def run(follower: LogFollower) -> None:
            assert follower.run()
            spent.append(time.thread_time())

        began = time.monotonic()
        threads = [threading.Thread(target=run, args=(follower,)) for follower in followers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for follower in followers:
            follower.close()
        assert len(spent) == 3
        # A last look at the log's end is spent before it is paid for.
        assert sum(spent) <= CPU_BURST_SECONDS + CPU_SHARE * (time.monotonic() - began) + 3 * LOOK_CPU_SECONDS
        clients.close()


LOOK_CPU_SECONDS = 0.4
"""For 100,000 letters and a pattern that is searched for from each of them; on a busy machine."""


def test_a_budget_is_shared_and_earned() -> None:
    """Who spends first makes the next one wait, and what is not spent adds up to no more than a burst."""
    budget = Budget(share=0.5, burst_seconds=1.0)
    assert budget.spend(0.9) == 0
    assert budget.spend(0.6) == pytest.approx(1.0, abs=0.1)
    assert budget.spend(0.5) == pytest.approx(2.0, abs=0.1)


def test_evidence_is_bounded() -> None:
    """Of megabytes in one line a person reads the beginning, and of many lines the last."""
    kept = evidence(["first", *["x" * 2**20] * 100])
    assert (len(kept), {len(line) for line in kept}) == (20, {1000})
