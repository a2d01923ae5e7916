"""What sensors are made of: files that stay open, parsers, and a way to say that the kernel lacks something."""

import os
import select
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from density.errors import DensityError

Parser = Callable[[str], Mapping[str, float]]
"""From a file's text to values by name; pure."""

_CHUNK = 1 << 16


class Unavailable(DensityError):
    """Something that this kernel does not offer, or no longer; the message is the reason."""


class Sensor(Protocol):
    """One part of the host: names are dotted, with the unit as the last word."""

    def read(self) -> Mapping[str, float]:
        """The values now.

        Raises:
            Unavailable: nothing can be said, such as about a daemon that ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a host.

    Attributes:
        values: by dotted names.
        durations: sensor -> seconds that its last reading took.
        failures: sensor -> why it could not be read.
        hung: sensor -> seconds since a reading began that has not come back; it is among the failures.
    """

    values: Mapping[str, float]
    durations: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    hung: Mapping[str, float] = field(default_factory=dict)


class HotFile:
    """A small file of /proc, /sys or a cgroup, open until the last reference goes.

    Reading again through the same descriptor costs 1 to 6 us where opening anew costs 12 to 20 us, and a descriptor of
    /proc/PID never comes to mean another process. An open file does not keep a cgroup from being removed.

    Raises:
        Unavailable: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror}") from error

    def read(self) -> str:
        """The whole text as it is now.

        Raises:
            Unavailable: what it told about is gone.
        """
        return b"".join(self._chunks()).decode(errors="replace")

    def count_lines(self) -> int:
        """How many lines there are now, without keeping them: mounts and maps can be megabytes.

        Raises:
            Unavailable: what it told about is gone.
        """
        return sum(chunk.count(b"\n") for chunk in self._chunks())

    def changed(self) -> bool:
        """Whether the kernel says that the file has changed since this was last asked; mountinfo is such a file."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLPRI)
        return any(events & (select.POLLPRI | select.POLLERR) for _, events in poll.poll(0))

    def _chunks(self) -> Iterator[bytes]:
        offset = 0
        try:
            while chunk := os.pread(self._descriptor, _CHUNK, offset):
                yield chunk
                offset += len(chunk)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


class FileSensor:
    """A sensor that only reads files, each with its parser.

    Args:
        required: without one of these the sensor is unavailable.
        optional: newer kernels have these; where one is missing, its names are left out.

    Raises:
        Unavailable: a required file cannot be opened.
    """

    def __init__(self, required: Mapping[Path, Parser], optional: Mapping[Path, Parser] | None = None) -> None:
        self._sources = [(HotFile(path), parser) for path, parser in required.items()]
        for path, parser in (optional or {}).items():
            try:
                self._sources.append((HotFile(path), parser))
            except Unavailable:
                continue

    def read(self) -> Mapping[str, float]:
        """The values of all files."""
        values: dict[str, float] = {}
        for file, parser in self._sources:
            values.update(parser(file.read()))
        return values


def parse_pairs(text: str, names: Mapping[str, str]) -> dict[str, float]:
    """Values from lines of a word and a number (`key 123`, also `Key: 123 kB` with its factor of 1024), renamed.

    Args:
        text: lines such as those of /proc/meminfo, memory.stat, memory.events.
        names: the word in the file -> our name; other lines are passed over.
    """
    values: dict[str, float] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        name = names.get(word.rstrip(":"))
        if name is not None:
            number = rest.split()
            values[name] = float(number[0]) * (1024 if number[1:] == ["kB"] else 1)
    return values


def number_parser(name: str, *, factor: float = 1.0) -> Parser:
    """A parser of a file that holds one number and nothing else."""
    return lambda text: {name: float(text) * factor}


def limit_parser(name: str) -> Parser:
    """A parser of a cgroup limit: `max`, -1 and numbers past 2^60 mean that there is none, and give no value."""
    return lambda text: {name: limit} if (limit := parse_limit(text)) is not None else {}


def parse_limit(text: str) -> float | None:
    """The limit in a cgroup file, None where there is none; cgroup v1 writes 2^63 less a page for "none"."""
    word = text.strip()
    if word == "max":
        return None
    value = float(word)
    return value if 0 <= value < 2**60 else None
