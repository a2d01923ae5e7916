"""Which figures make up each row, and how each is written; pure."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from density.capacity.versus.figure import Figure, Figures, Subject
from density.report.versus.spread import Spread, ratios, spread
from density.units import format_count, format_digits, format_value

How = Literal["median", "max", "ratio", "rate", "words"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a row: a figure of every subject, told in one way."""

    label: str
    name: str
    how: How = "median"


@dataclass(frozen=True, slots=True)
class Cell:
    """One subject's place in a line.

    Attributes:
        text: as it is shown; a dash where there is nothing.
        value: in `unit`; None where it is no number, or was not measured.
        low, high: 95 % interval, or all that was seen where there were too few samples for one.
        count: samples.
        note: words that belong to it.
        why: why it was not measured.
    """

    text: str
    unit: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0
    note: str = ""
    why: str = ""


def _times(when: str, key: str) -> tuple[Line, ...]:
    return (
        Line(f"{when}: created p50", f"{key}.created"),
        Line(f"{when}: started p50", f"{key}.started"),
        Line(f"{when}: ready p50", f"{key}.ready"),
        Line(f"{when}: ready max", f"{key}.ready", "max"),
    )


WORK: Mapping[str, str] = {
    "integer": "integer work",
    "memory": "memory copied",
    "syscall": "system calls",
    "file": "file in memory",
    "disk": "file flushed",
}
"""Kind of benchmark -> what it is called."""

LINES: Mapping[str, tuple[Line, ...]] = {
    "start": (
        *_times("alone", "alone"),
        *_times("at density", "density"),
        Line("at density: how many", "density.count"),
    ),
    "disk": (
        Line("image, shared", "image"),
        Line("image, made of", "parts", "words"),
        Line("own, written", "written"),
        Line("own, on the disk", "own"),
    ),
    "performance": (
        *(Line(f"alone: {words}", f"alone.{kind}", "ratio") for kind, words in WORK.items()),
        *(Line(f"at once: {words}", f"density.{kind}", "ratio") for kind, words in WORK.items()),
        Line("at once: how many", "density.count"),
        *(Line(f"rate: {words}", f"alone.{kind}", "rate") for kind, words in WORK.items()),
    ),
    "capacity": (Line("instances", "count"), Line("what ends it", "verdict", "words")),
    "overhead": (
        Line("memory, one more", "total"),
        Line("asked for", "touched"),
        Line("instance's own", "instance"),
        Line("engine's processes", "engine"),
        Line("host's kernel", "kernel"),
    ),
    "saving": (Line("save", "save"), Line("kept", "bytes"), Line("running again", "restore")),
    "building": (
        Line("first build", "first"),
        Line("after a change", "again"),
        Line("size", "bytes"),
        Line("added by the change", "again.bytes"),
    ),
    "kernels": (Line("release", "release", "words"),),
    "services": (
        Line("redis: ready", "redis"),
        Line("redis: image", "redis.image"),
        Line("redis: own disk", "redis.own"),
        Line("memcached: ready", "memcached"),
        Line("memcached: image", "memcached.image"),
        Line("memcached: own disk", "memcached.own"),
    ),
    "nested": (Line("container inside", "ready"),),
    "lxc": (
        Line("alone: ready p50", "alone.ready"),
        Line("alone: ready max", "alone.ready", "max"),
        Line("at density: ready p50", "density.ready"),
        Line("memory, one more", "total"),
        Line("instances", "count"),
        Line("what ends it", "verdict", "words"),
    ),
}
"""Row -> its lines, in order."""
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def cell(figures: Figures, row: str, line: Line, subject: Subject, reference: Subject | None) -> Cell:
    """A subject's cell of a line; `reference` is the subject that ratios are to."""
    if subject.missing:
        return Cell("–", why=subject.missing)
    figure = figures.get(row, line.name, subject.name)
    if figure is None:
        return Cell("–")
    if figure.why:
        return Cell("–", why=figure.why)
    if line.how == "words":
        return Cell(figure.words, note=figure.words)
    if line.how == "ratio":
        return _ratio(figure, _reference(figures, row, line, subject, reference))
    return _number(figure, line.how)


def _reference(figures: Figures, row: str, line: Line, subject: Subject, reference: Subject | None) -> Figure | None:
    if line.name.startswith("density."):
        return figures.get(row, f"{line.name}.native", subject.name)
    return figures.get(row, line.name, reference.name) if reference else None


def _ratio(figure: Figure, reference: Figure | None) -> Cell:
    found = ratios(figure.samples, reference.samples if reference else ())
    if not found:
        return Cell("–", why="there is no process to compare with")
    middle = spread(found)
    if reference is figure:
        return Cell("1", "ratio", 1.0, 1.0, 1.0, middle.count)
    text = f"{middle.median:.2f} ({middle.low:.2f}–{middle.high:.2f})"
    return Cell(text, "ratio", middle.median, middle.low, middle.high, middle.count)


def _number(figure: Figure, how: How) -> Cell:
    if how == "max":
        value = max(figure.samples)
        return Cell(format_value(value, figure.unit), figure.unit, value, count=len(figure.samples), note=figure.words)
    middle = _interval(figure)
    text = _written(middle.median, figure.unit)
    if figure.low is not None and middle.low != middle.high and math.isfinite(middle.high):
        text += f" ({_between(_written(max(0.0, middle.low), figure.unit), _written(middle.high, figure.unit))})"
    return Cell(text, figure.unit, middle.median, middle.low, middle.high, middle.count, note=figure.words)


def _interval(figure: Figure) -> Spread:
    if figure.low is None or figure.high is None:
        return spread(figure.samples)
    return Spread(figure.samples[0], figure.low, figure.high, 1, sure=True)


def _between(low: str, high: str) -> str:
    """`887 KiB–4.28 MiB`, `8.14–8.15 MiB`: a unit that both have is written once."""
    number, _, unit = low.partition(" ")
    return f"{number}–{high}" if unit and high.endswith(f" {unit}") else f"{low}–{high}"


def _written(value: float, unit: str) -> str:
    if unit == "instances":
        return format_count(value)
    if unit.endswith("/s") and unit != "bytes/s":
        size, prefix = next((each for each in _PREFIXES if value >= each[0]), (1.0, ""))
        return f"{format_digits(value / size)} {prefix}/s"
    return f"{format_value(value, 'bytes')}/s" if unit == "bytes/s" else format_value(value, unit)


def notes(lines: Iterable[tuple[str, Mapping[str, Cell]]]) -> Iterator[str]:
    """What has to be said below a row's lines (label, cells), each once: `container: files; …`.

    Why a single line lacks something is said with its label.
    """
    seen: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for label, cells in lines:
        for name, one in cells.items():
            if words := one.why or (one.note if one.text != one.note else ""):
                names, labels = seen.setdefault(words, ({}, {}))
                names[name] = None
                if one.why:
                    labels[label] = None
    for words, (names, labels) in seen.items():
        of = f"{next(iter(labels))} of " if len(labels) == 1 else ""
        yield f"{of}{', '.join(names)}: {words}"
