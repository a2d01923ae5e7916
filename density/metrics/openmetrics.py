"""OpenMetrics text with times, by the same table as what is served: how a run of the past is put into Prometheus."""

import math
from collections.abc import Iterator

from density.metrics.collector import RUN_ID
from density.metrics.histogram import Distribution
from density.metrics.table import Metric, Row

END = "# EOF\n"


def head(metric: Metric) -> str:
    """What stands before a family's samples."""
    unit = f"# UNIT {metric.family} {metric.suffix}\n" if metric.suffix else ""
    return f"# TYPE {metric.family} {metric.type}\n{unit}# HELP {metric.family} {_escaped(metric.help)}\n"


def names(metric: Metric, run_id: str, row: Row) -> tuple[str, ...]:
    """The samples of one series, each with its labels; they stay the same over the run."""
    labels = zip((RUN_ID, *metric.labels), (run_id, *row.labels), strict=True)
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    if not isinstance(row.value, Distribution):
        return (f"{metric.name}{{{inner}}}",)
    bounds = (*map(_number, row.value.bounds), "+Inf")
    buckets = (f'{metric.name}_bucket{{{inner},le="{bound}"}}' for bound in bounds)
    return (*buckets, f"{metric.name}_count{{{inner}}}", f"{metric.name}_sum{{{inner}}}")


def values(row: Row) -> Iterator[str]:
    """The values of one series' samples, in the order of `names`."""
    if isinstance(row.value, Distribution):
        yield from map(str, row.value.cumulative)
        yield str(row.value.cumulative[-1])
        yield _number(row.value.total)
    else:
        yield _number(row.value)


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
