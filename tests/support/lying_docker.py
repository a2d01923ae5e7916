"""A Docker daemon with containers that are only told of, and the ways in which it can misbehave.

`HonestDocker` does and says what a daemon does and says, as far as density asks. A `Mode` is one way to misbehave at
one of its endpoints: what is on the wire, what is in the document, what comes of the stream of events.
"""

import itertools
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from support.fake_docker import Answer, Question, Status, Wire, framed

from density.engines.docker.machine import this_machine

ENDPOINTS = (
    "version", "info", "network", "image", "create", "start", "inspect", "list", "logs", "events", "remove", "images",
    "networks", "volumes",
)  # fmt: skip
"""What is asked of a daemon in a run. A network's list is asked for where there is no such network."""
IMAGE = "fake:1"
_NETWORK = {
    "Id": "c" * 64,
    "Name": "bridge",
    "Driver": "bridge",
    "IPAM": {"Config": [{"Subnet": "10.213.0.0/24", "Gateway": "10.213.0.1"}]},
    "Options": {"com.docker.network.bridge.name": "nowhere0"},
    "Containers": {},
}
_IMAGE = {
    "Id": "sha256:1",
    "Size": 7,
    "Config": {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**8}, "Labels": None},
}
SEVERAL_SECONDS = 0.3
LONG_SECONDS = 60.0
"""Longer than any test waits; what hangs is let go when the daemon is closed."""


_ENDPOINTS = {
    "version": r"GET /version",
    "info": r"GET /info",
    "events": r"GET /events",
    "network": r"GET /networks/[^/]+",
    "image": r"GET /images/.+/json",
    "images": r"GET /images/json",
    "networks": r"GET /networks",
    "volumes": r"GET /volumes",
    "create": r"POST /containers/create",
    "start": r"POST /containers/[^/]+/start",
    "inspect": r"GET /containers/[^/]+/json",
    "list": r"GET /containers/json",
    "logs": r"GET /containers/[^/]+/logs",
    "remove": r"DELETE /containers/[^/]+",
}


def endpoint_of(question: Question) -> str:
    """Which of `ENDPOINTS` it is, or its method and path."""
    asked = f"{question.method} {question.path}"
    return next((name for name, pattern in _ENDPOINTS.items() if re.fullmatch(pattern, asked)), asked)


@dataclass
class FakeContainer:
    """A container that is only told of."""

    id: str
    name: str
    labels: Mapping[str, str]
    running: bool = False


class HonestDocker:
    """Answers as a daemon of this machine does; its containers print `up`, and are healthy as soon as they run.

    Attributes:
        containers: by id.
        asked: how often each endpoint was asked.
        closed: ends every stream, and everything that hangs.
    """

    def __init__(self) -> None:
        self.containers: dict[str, FakeContainer] = {}
        self.asked: dict[str, int] = {}
        self.closed = threading.Event()
        self._numbers = iter(range(1, 10**6))
        self._happened: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._streams = 0

    def close(self) -> None:
        """Let go of everybody who waits."""
        self.closed.set()
        with self._news:
            self._news.notify_all()

    def hang_up(self) -> None:
        """End the streams of events that go on now."""
        with self._news:
            self._streams += 1
            self._news.notify_all()

    def __call__(self, question: Question) -> Answer:
        """Answer as a daemon."""
        endpoint = endpoint_of(question)
        self.asked[endpoint] = self.asked.get(endpoint, 0) + 1
        return self.truth(endpoint, question)

    def truth(self, endpoint: str, question: Question) -> Answer:
        """The honest answer."""
        answers: Mapping[str, Callable[[], Answer]] = {
            "version": lambda: {"ApiVersion": "1.41", "Version": "20.10.0"},
            "info": self._info,
            "network": lambda: _NETWORK,
            "image": lambda: _IMAGE,
            "images": list,
            "networks": list,
            "volumes": lambda: {"Volumes": None, "Warnings": None},
            "create": lambda: self._create(question),
            "list": lambda: [self._listed(each) for each in self.containers.values() if _wanted(each, question)],
            "events": self._events,
        }
        if endpoint in answers:
            return answers[endpoint]()
        reference = question.path.split("/")[2]
        container = self._find(reference)
        if container is None:
            return Status(404, {"message": f"No such container: {reference}"})
        return self._of_one(endpoint, container)

    def happened(self, action: str, container: FakeContainer, **attributes: str) -> dict[str, Any]:
        """An event, as it is sent; it goes to whoever listens."""
        now = time.time_ns()
        actor = {"ID": container.id, "Attributes": {**container.labels, **attributes}}
        event = {"Type": "container", "Action": action, "Actor": actor, "time": now // 10**9, "timeNano": now}
        with self._news:
            self._happened.append(event)
            self._news.notify_all()
        return event

    def kill(self, container: FakeContainer) -> None:
        """From outside."""
        container.running = False
        self.happened("die", container, exitCode="137")

    def _of_one(self, endpoint: str, container: FakeContainer) -> Answer:
        match endpoint:
            case "start":
                container.running = True
                self.happened("health_status: healthy", container)
                return Status(204)
            case "inspect":
                state = {"Running": container.running, "Pid": os.getpid() if container.running else 0, "ExitCode": 0}
                return {"Id": container.id, "State": state, "HostConfig": {"Memory": 0, "PidsLimit": None}}
            case "logs":
                return iter([framed("up\n")])
            case "remove":
                del self.containers[container.id]
                self.happened("die", container, exitCode="137")
                return Status(204)
        raise AssertionError(endpoint)

    def _info(self) -> dict[str, Any]:
        machine = this_machine()
        return {"Name": machine.name, "KernelVersion": machine.kernel, "MemTotal": machine.memory_bytes,
                "NCPU": 2, "CgroupDriver": "cgroupfs", "SystemTime": "2026-11-24T08:00:00Z"}  # fmt: skip

    def _create(self, question: Question) -> Answer:
        name = question.query.get("name", "")
        if any(each.name == name for each in self.containers.values()):
            return Status(409, {"message": f"Conflict. The container name /{name} is already in use"})
        made = FakeContainer(f"{next(self._numbers):064x}", name, question.document["Labels"])
        self.containers[made.id] = made
        return Status(201, {"Id": made.id, "Warnings": None})

    def _listed(self, container: FakeContainer) -> dict[str, Any]:
        state = "running" if container.running else "exited"
        return {"Id": container.id, "Names": [f"/{container.name}"], "Labels": dict(container.labels),
                "State": state, "Status": "Up 1 second (healthy)" if container.running else "Exited"}  # fmt: skip

    def _find(self, reference: str) -> FakeContainer | None:
        found = (each for each in self.containers.values() if reference in (each.id, each.name))
        return next(found, None)

    def _events(self) -> Iterator[bytes]:
        mine = self._streams
        for number in itertools.count():
            with self._news:
                while not self.closed.is_set() and self._streams == mine and len(self._happened) <= number:
                    self._news.wait()
                if self.closed.is_set() or self._streams != mine:
                    return
                event = self._happened[number]
            yield json.dumps(event).encode() + b"\n"


def _wanted(container: FakeContainer, question: Question) -> bool:
    labels = json.loads(question.query.get("filters", "{}")).get("label", [])
    return all(container.labels.get(name, None if value else "") == value or (not value and name in container.labels)
               for name, _, value in (label.partition("=") for label in labels))  # fmt: skip


Lie = Callable[["LyingDocker", Question, Callable[[], Answer]], Answer]
"""From who lies, what was asked, and how to find the truth out, to an answer."""


@dataclass(frozen=True)
class Mode:
    """One way to misbehave.

    Attributes:
        after: how often the endpoint is answered honestly before.
        is_short: it is for `make test`: of what can go wrong on the wire a quarter at each endpoint, and all else.
    """

    name: str
    endpoint: str
    lie: Lie = field(compare=False)
    after: int = 0
    is_short: bool = True


class LyingDocker(HonestDocker):
    """Is honest but for one endpoint."""

    def __init__(self, mode: Mode) -> None:
        super().__init__()
        self.mode = mode

    def truth(self, endpoint: str, question: Question) -> Answer:
        """The answer, honest or not."""

        def honest() -> Answer:
            return super(LyingDocker, self).truth(endpoint, question)

        if endpoint != self.mode.endpoint or self.asked[endpoint] <= self.mode.after:
            return honest()
        return self.mode.lie(self, question, honest)


# On the wire, whatever is asked. The deed is done, and the answer is none.

DEEP = b"[" * 100_000 + b"]" * 100_000


def _http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + body


def _wire(*pieces: bytes) -> Lie:
    def lie(_: LyingDocker, __: Question, truth: Callable[[], Answer]) -> Answer:
        truth()
        return Wire(pieces)

    return lie


def _refused(code: int, document: Any) -> Lie:  # noqa: ANN401 — any JSON
    return lambda *_: Status(code, document)


def _hang(liar: LyingDocker, *_: object) -> Answer:
    def silence() -> Iterator[bytes]:
        liar.closed.wait(LONG_SECONDS)
        yield b""

    return Wire(silence())


def _drip(head: bytes, drop: bytes) -> Lie:
    """A drop now and then, without an end."""

    def lie(liar: LyingDocker, *_: object) -> Answer:
        def drops() -> Iterator[bytes]:
            yield head
            while not liar.closed.wait(0.02):
                yield drop

        return Wire(drops())

    return lie


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WIRE: Mapping[str, Lie] = {
    "500": _refused(500, {"message": "it went wrong"}),
    "500 of text": _wire(_http(b"<html>oops</html>", status="500 Internal Server Error")),
    "500 of a list": _refused(500, ["it", "went", "wrong"]),
    "500 of no words": _refused(503, {"message": {"why": None}}),
    "500 of nothing": _wire(_http(b"", status="500 ")),
    "ask elsewhere": _wire(_http(b"", "Location: http://nowhere/", status="302 Found")),
    "no HTTP": _wire(b"\x00\xff\xfe\x01 SSH-2.0-OpenSSH\r\n" * 9),
    "no JSON": _wire(_http(b"\x00\xff{'a': }")),
    "nothing": _wire(_http(b"")),
    "null": _wire(_http(b"null")),
    "a word": _wire(_http(b'"yes"')),
    "a list of lists": _wire(_http(b"[[], [1]]")),
    "an object of nothing": _wire(_http(b"{}")),
    "depth": _wire(_http(DEEP)),
    "a long number": _wire(_http(b"[" + b"9" * 5000 + b"]")),
    "half": _wire(_http(b'{"Id": "', length=1000)),
    "hangs up": _wire(),
    "huge header": _wire(_http(b"{}", "X-Much: " + "x" * 100_000)),
    "many headers": _wire(_http(b"{}", *(f"X-{number}: y" for number in range(500)))),
    "no length": _wire(_http(b"{}", "Content-Length: many")),
    "chunked nonsense": _wire(CHUNKED, b"zzzz\r\n{}\r\n0\r\n\r\n"),
    "half a chunk": _wire(CHUNKED, b'ff\r\n{"Id": '),
    "packed nonsense": _wire(_http(b"not gzip", "Content-Encoding: gzip")),
    "hangs": _hang,
    "drips": _drip(_http(b"[", length=10**9), b" "),
    "drips headers": _drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "continues": _drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
# In the document: this name has this value, or is not there.

MISSING = object()
_POOL = "10.0.0.0/24"
VALUES: Mapping[tuple[str, str], Sequence[object]] = {
    ("version", "ApiVersion"): (MISSING, None, 1.41, "", "latest", "1.2.3", "1.99999", [1, 41]),
    ("version", "Version"): ([20, 10],),
    ("info", "NCPU"): ("many", -1, 10**30, 1.5, [2], None),
    ("info", "MemTotal"): ("much", None, -1),
    ("info", "KernelVersion"): (None,),
    ("info", "CgroupDriver"): (["cgroupfs"],),
    ("info", "SecurityOptions"): ("seccomp", [1, None]),
    ("info", "SystemTime"): ("yesterday", 5),
    ("image", "Id"): (MISSING,),
    ("image", "Size"): ("large",),
    ("image", "Config"): (None, [], "x", {"Healthcheck": "x"}, {"Healthcheck": {"Test": "x"}},
                          {"Healthcheck": {"Test": ["CMD"], "Interval": "soon"}}),
    ("network", "IPAM"): (None, [], {"Config": "x"}, {"Config": [None]}, {"Config": [{}]},
                          *({"Config": [{"Subnet": each}]} for each in ("here", "10.0.0.0/99", "fd00::/64", 5, "")),
                          {"Config": [{"Subnet": _POOL, "Gateway": "there"}]},
                          {"Config": [{"Subnet": _POOL, "Gateway": "fd00::1", "IPRange": "fd00::/64"}]}),
    ("network", "Containers"): ([], {"x": None}, {"x": {"IPv4Address": "home"}}),
    ("network", "Options"): (["x"],),
    ("network", "Id"): (None,),
    ("create", "Id"): (MISSING, None, "", 7, ["x"]),
    ("inspect", "State"): (MISSING, None, "running", [],
                           *({"Running": True, "Pid": each} for each in ("one", -1, None, 10**12, True)),
                           {"Running": "perhaps", "Pid": 1},
                           {"Running": True, "Pid": 1, "ExitCode": "zero", "OOMKilled": 5},
                           {"Running": True, "Pid": 1, "Health": {"Log": {"x": 1}, "FailingStreak": "all"}}),
    ("inspect", "HostConfig"): ([], {"Ulimits": [None], "Memory": 10**40}),
    ("list", "Labels"): (None, [], {"density": None}, {"density.instance": 5}),
    ("list", "Names"): (None, [], "x", [None], [""]),
    ("list", "Id"): (MISSING, None, "", 5),
    ("list", "State"): (None, 5, "dreaming"),
    ("list", "Status"): (["Up"],),
}  # fmt: skip
"""Endpoint and name -> values, none of which is what a daemon says."""


def _shaped(name: str, value: object) -> Lie:
    def lie(_: LyingDocker, __: Question, truth: Callable[[], Answer]) -> Answer:
        answer = truth()
        document = deepcopy(answer.document if isinstance(answer, Status) else answer)
        for each in document if isinstance(document, list) else [document]:
            if isinstance(each, dict):
                each.pop(name, None)
                each.update({} if value is MISSING else {name: value})
        return Status(answer.code, document) if isinstance(answer, Status) else document

    return lie


# In streams: what comes between the daemon's own chunks, or of them.


def _stream(change: Callable[[LyingDocker, Iterator[bytes]], Iterator[bytes]]) -> Lie:
    def lie(liar: LyingDocker, _: Question, truth: Callable[[], Answer]) -> Answer:
        honest = truth()
        return change(liar, honest) if isinstance(honest, Iterator) else honest

    return lie


def _before(*lines: object) -> Lie:
    """These before each event."""
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines]

    def change(_: LyingDocker, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield from texts
            yield chunk

    return _stream(change)


def _each(change: Callable[[bytes], Iterator[bytes]]) -> Lie:
    return _stream(lambda _, chunks: (piece for chunk in chunks for piece in change(chunk)))


def _cut(_: LyingDocker, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield next(chunks)


def _cut_amid(_: LyingDocker, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield next(chunks)[:-20]


def _late(_: LyingDocker, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        time.sleep(SEVERAL_SECONDS)
        yield chunk


def _silent(liar: LyingDocker, _: Iterator[bytes]) -> Iterator[bytes]:
    liar.closed.wait(LONG_SECONDS)
    yield from ()


def _swapped(_: LyingDocker, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for first in chunks:
        second = next(chunks, b"\n")
        yield second + first


def _said(event: bytes, **values: object) -> bytes:
    return json.dumps({**json.loads(event), **values}).encode() + b"\n"


EVENTS: Mapping[str, Lie] = {
    "cut after each": _stream(_cut),
    "cut amid an event": _stream(_cut_amid),
    "cut at once": _stream(lambda *_: iter(())),
    "late": _stream(_late),
    "silent": _stream(_silent),
    "doubled": _each(lambda chunk: iter([chunk, chunk])),
    "out of order": _stream(_swapped),
    "byte by byte": _each(lambda chunk: (chunk[at : at + 1] for at in range(len(chunk)))),
    "without line feeds": _each(lambda chunk: iter([chunk.strip()])),
    "garbage": _before(b"\x00\xff\n"),
    "half of JSON": _before(b'{"Action":\n'),
    "deep": _before(DEEP + b"\n"),
    "a line without an end": _each(lambda chunk: iter([chunk, b"x" * (2 * 2**20)])),
    "empty lines": _before(b"\n\n \n"),
    "no objects": _before([], None, 5, "die"),
    "empty objects": _before({}),
    "no actor": _before({"Action": "die", "Actor": None}, {"Action": "die", "Actor": []}),
    "odd attributes": _before({"Action": "die", "Actor": {"Attributes": ["x"]}}, {"Action": "die"}),
    "odd action": _before({"Action": ["die"]}, {"Action": None}, {"Action": 5}),
    "of somebody else": _before({"Action": "die", "Actor": {"Attributes": {"density.instance": "nobody"}}}),
    "odd exit code": _each(lambda chunk: iter([chunk.replace(b'"137"', b'"all"')])),
    "exit code of a number": _each(lambda chunk: iter([chunk.replace(b'"137"', b"137")])),
    "odd times": _each(lambda chunk: iter([_said(chunk, time="now", timeNano=None)])),
    "no times": _each(lambda chunk: iter([_said(chunk, time=0, timeNano=0)])),
    "times to come": _each(lambda chunk: iter([_said(chunk, time=2**40, timeNano=2**62)])),
    "times beyond": _each(lambda chunk: iter([_said(chunk, time=10**40, timeNano=-1)])),
    "a flood": _before(*[{"Action": "dance"}] * 2000, *[[]] * 20),
}
LOGS: Mapping[str, Lie] = {
    "no frames": _each(lambda _: iter([b"up\n" * 20])),
    "frame without an end": _each(lambda chunk: iter([chunk, b"\x01\x00\x00\x00\xff\xff\xff\xff"])),
    "half a frame": _each(lambda chunk: iter([chunk[:5]])),
    "no text": _each(lambda _: iter([framed("?\x00\x1b]0;title\x07\n").replace(b"?", b"\xff")])),
    "a log without an end": _stream(lambda liar, chunks: _endless(liar, next(chunks))),
}


def _endless(liar: LyingDocker, chunk: bytes) -> Iterator[bytes]:
    while not liar.closed.is_set():
        yield chunk * 100


MODES: tuple[Mode, ...] = (
    *(
        Mode(f"{endpoint}: {name}", endpoint, lie, is_short=(row + column) % 4 == 0)
        for row, endpoint in enumerate(ENDPOINTS)
        for column, (name, lie) in enumerate(WIRE.items())
    ),
    *(
        Mode(f"{endpoint}: {name} is {'missing' if value is MISSING else repr(value)}", endpoint, _shaped(name, value))
        for (endpoint, name), values in VALUES.items()
        for value in values
    ),
    *(Mode(f"events: {name}", "events", lie) for name, lie in EVENTS.items()),
    *(Mode(f"logs: {name}", "logs", lie) for name, lie in LOGS.items()),
    *(
        Mode(f"{endpoint}, after some: {name}", endpoint, WIRE[name], after=2)
        for endpoint in ("create", "start", "inspect", "remove", "list")
        for name in ("500", "half", "hangs up", "hangs")
    ),
)
