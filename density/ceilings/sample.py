"""How large the sample of an objective was, in words."""

from collections.abc import Mapping

from density.ceilings.catalog import BY_ID
from density.units import format_count, format_value

_MEASURED = {"slo.ready": "p95", "slo.probe": "p99", "slo.failures": "failed"}


def describe_sample(values: Mapping[str, float], key: tuple[str, str]) -> str:
    """` of 60 launches, at 95 % between 0.1 % and 7.7 %`; empty for an objective that one reading decides."""
    ceiling, subject = key
    name = f"{ceiling}.{subject}"
    noun = "pings" if ceiling == "slo.probe" else "launches"
    total = values.get(f"{name}.{noun}_count")
    if total is None or ceiling not in _MEASURED:
        return ""
    unit = BY_ID[ceiling].unit
    measured = f"{name}.{_MEASURED[ceiling]}"
    low, high = (values.get(f"{measured}_{end}_{unit}") for end in ("low", "high"))
    least = "" if low is None else f", {format_value(low, unit)} at least"
    most = "" if high is None else f", {format_value(high, unit)} at most"
    sure = " (95 %)" if least or most else ""
    return f" in {format_count(total)} {noun}{least}{most}{sure}"
