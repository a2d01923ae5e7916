"""The kinds of values that a profile has."""

import re
from typing import Annotated, get_args

from density.model import AcceleratorName, DiskIo, EngineName, GuestName, Readiness
from density.profile.problems import ExplainedError
from density.profile.readiness import READY_ALLOWED, READY_PATTERN, WAYS, format_ready, parse_ready
from density.profile.scalar import Scalar, count, number, one_of, or_off, text, text_or_number, whole, within
from density.profile.spec import Missing, Shape, Until
from density.units import (
    BYTES_ALLOWED,
    SECONDS_ALLOWED,
    SHARE_ALLOWED,
    parse_bytes,
    parse_seconds,
    parse_share,
)

NAME_ALLOWED = "a lower-case letter, then at most 30 of a-z, 0-9 and -"
NAME_PATTERN = r"^[a-z][a-z0-9-]{0,30}$"

_MOST_BYTES = 2**53  # 8 PiB; above, a float does not hold every byte
_AMOUNT = re.compile(r"([0-9.]+)\s*([A-Za-z]+)")
_UNITS = ("B", "K", "KiB", "kB", "M", "MiB", "MB", "G", "GiB", "GB", "T", "TiB", "TB")
_MOST_SECONDS = 366 * 86_400
_DURATION = r"^\s*[0-9]+(\.[0-9]+)?\s*(us|ms|s|m|min|h)?\s*$"
_PERCENT = r"^\s*[0-9]+(\.[0-9]+)?\s*%?\s*$"
_SIZE = r"^\s*[0-9]+(\.[0-9]+)?\s*([KMGT]|[KMGT]iB|[kKMGT]?B)?\s*$"


def _dump_bytes(value: int) -> str | int:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value and value % size == 0:
            return f"{value // size}{unit}"
    return value


def _dump_seconds(value: float) -> str | float:
    written = f"{value:.12g}s" if value >= 1 or not value else f"{value * 1000:.12g}ms"
    return written if "e" not in written and parse_seconds(written) == value else value


def _dump_share(value: float) -> str | float:
    written = f"{value * 100:.12g}%"
    return written if "e" not in written and parse_share(written) == value else value


def _concurrency(value: object) -> int:
    return 0 if value == "auto" else int(within(whole, 1, 10_000)(value))


def _parse_bytes(value: str | float) -> int:
    try:
        return parse_bytes(value)
    except ValueError:
        if isinstance(value, str) and (match := _AMOUNT.fullmatch(value.strip())):
            for unit in _UNITS:
                if match[2].lower() == unit.lower():
                    raise ExplainedError(f'allowed is {BYTES_ALLOWED}; did you mean "{match[1]}{unit}"?') from None
        raise


def _parse_share(value: str | float) -> float:
    bare = isinstance(value, int | float) or value.strip().isdecimal()
    if bare and 1 < float(value) <= 100:
        raise ExplainedError(f'allowed is {SHARE_ALLOWED}; did you mean "{float(value):g}%"?')
    return parse_share(value)


_seconds = Scalar(
    within(parse_seconds, 0, _MOST_SECONDS), SECONDS_ALLOWED, text_or_number(_DURATION, minimum=0), _dump_seconds
)
_period = Scalar(
    within(parse_seconds, 0, _MOST_SECONDS, above=True),
    f"{SECONDS_ALLOWED}, above 0",
    text_or_number(_DURATION, exclusiveMinimum=0),
    _dump_seconds,
)
_share = Scalar(within(_parse_share, 0, 1), SHARE_ALLOWED, text_or_number(_PERCENT, minimum=0, maximum=1), _dump_share)

Bytes = Annotated[
    int, Scalar(within(_parse_bytes, 0, _MOST_BYTES), BYTES_ALLOWED, text_or_number(_SIZE, minimum=0), _dump_bytes)
]
Seconds = Annotated[float, _seconds]
Period = Annotated[float, _period]
Share = Annotated[float, _share]
PeriodGoal = Annotated[float | None, or_off(_period)]
ShareGoal = Annotated[float | None, or_off(_share)]
Count = Annotated[int, count(0)]
Positive = Annotated[int, count(1)]
Cpus = Annotated[float, number(0, 10_000, "a number such as 1.5; 0 for no limit")]
Weight = Annotated[float, number(0, 1e6, "a number above 0, such as 3", above=True)]
Factor = Annotated[float, number(1, 100, "a number above 1, such as 1.5", above=True)]
Ratio = Annotated[float, number(0, 1e6, "a number such as 0.5, 0 or more")]
Concurrency = Annotated[
    int,
    Scalar(
        _concurrency,
        '"auto" or a whole number, 1 or more',
        {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]},
        lambda value: value or "auto",
        ("auto",),
    ),
]
ShapeWord = Annotated[Shape, one_of(*get_args(Shape))]
UntilWord = Annotated[Until, one_of(*get_args(Until))]
EngineWord = Annotated[EngineName, one_of(*get_args(EngineName))]
GuestWord = Annotated[GuestName, one_of(*get_args(GuestName))]
AcceleratorWord = Annotated[AcceleratorName, one_of(*get_args(AcceleratorName))]
DiskIoWord = Annotated[DiskIo, one_of(*get_args(DiskIo))]
MissingWord = Annotated[Missing, one_of(*get_args(Missing))]
Name = Annotated[str, text(NAME_ALLOWED, NAME_PATTERN)]
Text = Annotated[str, text("text in quotes")]
FilePath = Annotated[str, text("the path of a directory", r"^([^\x00-\x1f\x7f]+)?$")]
Image = Annotated[str, text("text in quotes, not empty", r"^\S(.*\S)?$")]
Word = Annotated[str, text("text in quotes, without spaces", r"^\S+$")]
Variable = Annotated[str, text("a variable's name: letters, digits and _", r"^[A-Za-z_][A-Za-z0-9_]*$")]
Ready = Annotated[
    Readiness, Scalar(parse_ready, READY_ALLOWED, {"type": "string", "pattern": READY_PATTERN}, format_ready, WAYS)
]
