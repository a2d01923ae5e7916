"""The lines that payloads and controller say to each other; pure, no input or output."""

import re
from dataclasses import dataclass, field

LINE_LIMIT = 1024
"""Bytes of a line that are kept; what an instance says beyond them is dropped, so that it cannot fill our memory."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class Ready:
    """`density ready ID kernel=RELEASE uptime_us=N pid=N [secret=WORD]`; of a guest without one, two words.

    Attributes:
        secret: that it was given to prove who it is; empty on a serial port, which is nobody else's.
    """

    instance_id: str
    kernel: str
    uptime_seconds: float
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Pong:
    """`density pong NUMBER`."""

    number: int


@dataclass(frozen=True, slots=True)
class Begun:
    """`density begun NUMBER`: a benchmark is set up, and its clock starts."""

    number: int


@dataclass(frozen=True, slots=True)
class Benched:
    """`density bench NUMBER AMOUNT MICROSECONDS`: how much a benchmark did; `seconds` by the instance's own clock."""

    number: int
    amount: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Refused:
    """`density refused NUMBER WORDS`: a benchmark that cannot be, and the system's words."""

    number: int
    words: str


Said = Ready | Pong | Begun | Benched | Refused


def parse(line: str) -> Said | None:
    """What a payload said; None for anything that is not of this protocol."""
    match line.split():
        case ["density", "pong", number] if _is_number(number):
            return Pong(int(number))
        case ["density", "begun", number] if _is_number(number):
            return Begun(int(number))
        case ["density", "bench", number, amount, micros] if all(map(_is_number, (number, amount, micros))):
            return Benched(int(number), int(amount), int(micros) / 1e6)
        case ["density", "refused", number, *words] if _is_number(number):
            return Refused(int(number), " ".join(words))
        case ["density", "ready", *words]:
            return _ready(words)
    return None


def _ready(words: list[str]) -> Ready:
    instance_id, *fields = words or [""]
    values = dict(field.partition("=")[::2] for field in fields)
    uptime = values.get("uptime_us", "")
    seconds = int(uptime) / 1e6 if _is_number(uptime) else 0.0
    return Ready(instance_id, values.get("kernel", ""), seconds, values.get("secret", ""))


def _is_number(text: str) -> bool:
    """At most 20 digits, which is what 64 bits have."""
    return text.isascii() and text.isdigit() and len(text) <= 20


def parse_console(line: str) -> Said | None:
    """Like `parse`, for a serial port, where the kernel or the firmware may have begun the line."""
    begin = line.find("density ")
    return parse(line[begin:]) if begin >= 0 else None


def clean(line: bytes) -> str:
    """A console line as plain text: no escape sequences, no control characters, no blanks around it."""
    text = line.decode("utf-8", errors="replace").replace("\t", " ")
    return _CONTROL.sub("", _ESCAPE.sub("", text)).strip()


class Lines:
    """Cuts a stream of bytes into lines of bounded length; accepts LF and CRLF."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, at most `LINE_LIMIT` bytes each; the begun one stays in `rest`."""
        first, *others = data.split(b"\n")
        self.rest = (self.rest + first)[:LINE_LIMIT]
        if not others:
            return []
        lines = [self.rest, *(line[:LINE_LIMIT] for line in others[:-1])]
        self.rest = others[-1][:LINE_LIMIT]
        return [line.removesuffix(b"\r") for line in lines]
