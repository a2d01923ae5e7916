"""Quantities as people write them, and as density prints them: bytes, durations, shares."""

import math
import re
from collections.abc import Sequence

_BYTES = {
    "": 1, "B": 1,
    "K": 2**10, "KiB": 2**10, "kB": 10**3, "KB": 10**3,
    "M": 2**20, "MiB": 2**20, "MB": 10**6,
    "G": 2**30, "GiB": 2**30, "GB": 10**9,
    "T": 2**40, "TiB": 2**40, "TB": 10**12,
}  # fmt: skip
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)\s*")

BYTES_ALLOWED = 'a size such as "64MiB", "1.5GiB" or "500MB"'
SECONDS_ALLOWED = 'a duration such as "250ms", "5s", "2m" or "1h"'
SHARE_ALLOWED = 'a share such as "1%" or 0.01, from 0 to 1'


def parse_bytes(text: str | float) -> int:
    """Bytes from `"64MiB"` (1024-based), `"64MB"` (1000-based) or a plain number of bytes.

    Raises:
        ValueError: not a size; the message says what is allowed.
    """
    return round(_parse(text, _BYTES, BYTES_ALLOWED))


def parse_seconds(text: str | float) -> float:
    """Seconds from `"250ms"`, `"5s"`, `"2m"`, `"1h"` or a plain number of seconds.

    Raises:
        ValueError: not a duration; the message says what is allowed.
    """
    return _parse(text, _SECONDS | {"": 1.0}, SECONDS_ALLOWED)


def parse_share(text: str | float) -> float:
    """A share between 0 and 1 from `"5%"` or `0.05`.

    Raises:
        ValueError: not a share; the message says what is allowed.
    """
    share = _parse(text, {"": 1.0, "%": 0.01}, SHARE_ALLOWED)
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is not {SHARE_ALLOWED}")
    return share


def format_digits(value: float) -> str:
    """Three significant digits, and every digit of a whole part that has more: `0.123`, `12.3`, `1000`."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def format_bytes(value: float) -> str:
    """`1.5 GiB`: three significant digits, 1024-based; what rounds up to the next unit is in that one."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(value) >= size - size / 2048:  # 1023.5 of the unit below, which would be printed as 1024
            return f"{format_digits(value / size)} {unit}"
    return f"{value:.0f} B"


def format_seconds(value: float) -> str:
    """`3.2 ms`, `1.25 s`, `4 min 10 s`: as short as it stays clear; of minutes and hours the whole ones."""
    if value < 0:
        return f"-{format_seconds(-value)}"
    if value < 0.0009995:
        return f"{value * 1e6:.0f} us"
    if value < 0.9995:
        return f"{format_digits(value * 1e3)} ms"
    if value < 119.5:
        return f"{value:.3g} s"
    if value < 7200:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"


def format_count(value: float) -> str:
    """`12,345`: whole, with separators."""
    return f"{value:,.0f}"


def format_counted(value: float, one: str, several: str) -> str:
    """`1 instance`, `1,204 instances`."""
    return f"{format_count(value)} {one if value == 1 else several}"


def format_odds(odds: float) -> str:
    """`97%`; never certain where it is not."""
    return "over 99%" if 0.995 <= odds < 1 else f"{odds:.0%}"


def format_some(names: Sequence[str]) -> str:
    """`a, b, c`, or `a, b, c, ... z` where there are more than four: what a line has room for."""
    return f"{', '.join(names[:3])}, ... {names[-1]}" if len(names) > 4 else ", ".join(names)


def format_value(value: float, unit: str) -> str:
    """A value in the given unit (`bytes`, `seconds`, `ratio`, or the plural noun of a count)."""
    match unit:
        case "bytes":
            return format_bytes(value)
        case "seconds":
            return format_seconds(value)
        case "ratio":
            # Full is what is full.
            return "over 99.9%" if 0.9995 <= value < 1 else f"{value:.1%}"
        case _:
            return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 99.995 else format_count(value)


def _parse(text: str | float, units: dict[str, float] | dict[str, int], allowed: str) -> float:
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is not {allowed}")  # noqa: TRY004 — pydantic turns ValueError into a problem
    if isinstance(text, int | float):
        if text < 0:
            raise ValueError(f"{text!r} is negative; allowed is {allowed}")
        return float(text)
    match = _NUMBER.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(f"{text!r} is not {allowed}")
    value = float(match[1]) * units[match[2]]
    if math.isinf(value):
        raise ValueError(f"a number of {len(match[1])} digits is not {allowed}")
    return value
