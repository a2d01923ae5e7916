"""Values as Grafana's units would show them, roughly."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from density.units import format_bytes, format_seconds

_UNITS: Mapping[str, Callable[[float], str]] = {
    "s": format_seconds,
    "bytes": format_bytes,
    "percentunit": lambda value: f"{value:.1%}",
    "locale": lambda value: f"{value:,.3f}".rstrip("0").rstrip("."),
    "short": lambda value: f"{value:,.3g}",
    "dateTimeAsIso": lambda value: f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S}",
}


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit; a count to so many decimals. A quantile of nothing is none, as in Grafana."""
    if math.isnan(value):
        return "-"
    if unit == "locale" and decimals is not None:
        return f"{value:,.{decimals}f}"
    if unit.startswith("suffix:"):
        return f"{value:,.3g}{unit.removeprefix('suffix:')}"
    return _UNITS[unit](value)
