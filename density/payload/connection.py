"""What the channel knows of one instance and of one connection; no waiting here."""

import hmac
import re
import secrets
import socket
from collections import deque
from dataclasses import dataclass, field
from functools import partial

import anyio

from density.payload.protocol import Begun, Benched, Lines, Pong, Refused, Said
from density.payload.sockets import peer

CONSOLE_LINES = 20
SECRET_BYTES = 16
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Hello:
    """What a payload says when it is ready.

    Attributes:
        at: when the controller heard it, seconds of `anyio.current_time()`.
        kernel: release of the kernel that the instance sees.
        uptime_seconds: how long the payload's process has been running when it said so.
    """

    instance_id: str
    at: float
    kernel: str
    uptime_seconds: float


class Connection:
    """One stream from an instance, non-blocking in both directions.

    Attributes:
        instance: whose it is; None while it has not said hello.
        user: number of the user who connected.
    """

    __slots__ = ("instance", "lines", "serial", "socket", "user")

    def __init__(self, stream: socket.socket, instance: "Instance | None" = None) -> None:
        stream.settimeout(0)
        self.socket = stream
        self.user = peer(stream).user
        self.instance = instance
        self.serial = instance is not None
        self.lines = Lines()

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed from here."""
        return self.socket.fileno() >= 0

    def receive(self) -> list[bytes] | None:
        """The lines that have come, perhaps none; None when the other end is gone."""
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self.lines.feed(data) if data else None

    def send(self, line: str) -> None:
        """Send a line; one that does not read loses it, and a closed one will be noticed by `receive`."""
        try:
            self.socket.send(line.encode() + b"\n", socket.MSG_NOSIGNAL)
        except OSError:
            return


@dataclass(frozen=True, slots=True)
class Bench:
    """What a benchmark in an instance did.

    Attributes:
        amount: operations, calls or bytes.
        seconds: from its start to its end, by the controller's clock.
        own_seconds: the same by the instance's clock.
    """

    amount: int
    seconds: float
    own_seconds: float


@dataclass(slots=True, eq=False)
class Question:
    """Something that an instance was asked: a ping, or a benchmark.

    Attributes:
        began: when it was asked; of a benchmark, when the instance said that its clock starts.
        answered: when the answer came; None where the instance ended before.
        answer: of a benchmark.
    """

    began: float
    done: anyio.Event = field(default_factory=anyio.Event)
    answered: float | None = None
    answer: Benched | Refused | None = None

    def settle(self, answered: float, answer: Benched | Refused | None = None) -> None:
        """Here is the answer."""
        self.answered, self.answer = answered, answer
        self.done.set()


@dataclass(slots=True, eq=False)
class Instance:
    """An expected instance, from `expect` to `forget`.

    Attributes:
        secret: what a process or container has to say with its hello, and nobody else knows.
        lines: how many it printed on its console.
        problem: why its connection could not be accepted; None where it could.
        settled: set once it said hello or cannot any more.
        closed: it ended, or was dismissed; it may not come back.
        pingable: it said hello over the payload's protocol.
    """

    instance_id: str
    secret: str = field(default_factory=partial(secrets.token_hex, SECRET_BYTES), repr=False)
    problem: OSError | None = None
    settled: anyio.Event = field(default_factory=anyio.Event)
    hello: Hello | None = None
    closed: bool = False
    pingable: bool = False
    connection: Connection | None = None
    questions: dict[int, Question] = field(default_factory=dict)
    console: deque[str] = field(default_factory=lambda: deque(maxlen=CONSOLE_LINES))
    lines: int = 0
    watchers: list[tuple[re.Pattern[str], anyio.Event]] = field(default_factory=list)

    def knows(self, secret: str) -> bool:
        """Whether this is its secret; takes as long for a wrong one."""
        return hmac.compare_digest(secret.encode(), self.secret.encode())

    def greet(self, hello: Hello) -> None:
        """It is ready."""
        self.hello = hello
        self.settled.set()

    def answer(self, said: Said, now: float) -> None:
        """It answered a question, or said that it begins with one; one that was not asked is passed over."""
        match said:
            case Begun(number=number) if question := self.questions.get(number):
                question.began = now
            case Pong(number=number) if question := self.questions.get(number):
                question.settle(now)
            case Benched(number=number) | Refused(number=number) if question := self.questions.get(number):
                question.settle(now, said)

    def end(self) -> None:
        """Nothing more is expected of it: everyone who waits for it is told."""
        self.closed = True
        self.pingable = False
        self.settled.set()
        for question in self.questions.values():
            question.done.set()
        for _, seen in self.watchers:
            seen.set()

    def show(self, text: str) -> None:
        """Let those see it who wait for a console line."""
        for pattern, seen in self.watchers:
            if pattern.search(text):
                seen.set()
