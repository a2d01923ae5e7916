"""PromQL over density's table of metrics; a name or label that the table does not have is refused here."""

from collections.abc import Mapping

from density.metrics.table import TABLE, Metric

RATE_WINDOW = "$__rate_interval"
RANGE = "$__range"
RUN = 'run_id="$run"'
RUNS = 'run_id=~"$runs"'
"""The runs that the dashboard which compares them was told to show."""

_METRICS: Mapping[str, Metric] = {metric.name: metric for metric in TABLE}
_SUFFIXES = ("_bucket", "_count", "_sum")
_GRAFANA_UNITS: Mapping[str, str] = {"seconds": "s", "bytes": "bytes", "ratio": "percentunit"}
COUNT = "locale"
"""Grafana's unit for whole numbers, with the reader's own separator of thousands."""


def metric(name: str) -> Metric:
    """The table's entry.

    Raises:
        KeyError: the table has no such metric.
    """
    for suffix in _SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in _METRICS and _METRICS[base].type == "histogram":
            return _METRICS[base]
    return _METRICS[name]


def unit(name: str) -> str:
    """Grafana's unit for a metric's values."""
    return _GRAFANA_UNITS.get(metric(name).unit, COUNT)


def helps(*names: str) -> str:
    """What the table says of these metrics, one sentence each."""
    return " ".join(dict.fromkeys(metric(name).help for name in names))


def selector(name: str, run: str = RUN, **labels: str) -> str:
    """`NAME{run_id="$run",LABEL=VALUE}`; a value `~...` is a regular expression, `!...` one that must not match.

    Raises:
        KeyError: the table has no such metric, or the metric no such label.
    """
    known = metric(name).labels
    matchers = [run]
    for label, value in labels.items():
        if label not in known:
            raise KeyError(f"{name} has no label {label!r}")
        operator = {"~": "=~", "!": "!~"}.get(value[:1], "=")
        matchers.append(f'{label}{operator}"{value if operator == "=" else value[1:]}"')
    return f"{name}{{{','.join(matchers)}}}"


def now(name: str, run: str = RUN, **labels: str) -> str:
    """The series of a run, once each, whether they were scraped, imported from a record, or both."""
    return _once(selector(name, run, **labels))


def last(name: str, run: str = RUN, **labels: str) -> str:
    """The last values within the dashboard's time, for tables, which ask at its end alone."""
    return _once(f"last_over_time({selector(name, run, **labels)}[{RANGE}])")


def most(name: str, run: str = RUN, **labels: str) -> str:
    """The highest values within the dashboard's time."""
    return _once(f"max_over_time({selector(name, run, **labels)}[{RANGE}] @ end())")


def rate(name: str, run: str = RUN, **labels: str) -> str:
    """What a counter or a bucket gains in a second."""
    return _once(f"rate({selector(name, run, **labels)}[{RATE_WINDOW}])")


def gained(name: str, run: str = RUN, **labels: str) -> str:
    """What a counter gained within the dashboard's time; exact, where `increase` would extrapolate."""
    series = selector(name, run, **labels)
    return _once(f"(max_over_time({series}[{RANGE}]) - min_over_time({series}[{RANGE}]))")


def quantile(share: float, name: str, **labels: str) -> str:
    """A quantile over the last moments of a histogram; nothing, rather than no number, while nothing is counted."""
    buckets = rate(f"{name}_bucket", **labels)
    return f"histogram_quantile({share:g}, sum by (le) ({buckets})) >= 0"


def still_told(name: str) -> str:
    """The last values of series that the run tells still, or told until its end: a forecast may be dropped."""
    seen = f"max by (run_id, ceiling, subject) (max_over_time(timestamp({selector(name)})[{RANGE}:5s]))"
    ended = f"max by (run_id) (max_over_time(timestamp({selector('density_run_info')})[{RANGE}:5s]))"
    return f"{last(name)} and on (ceiling, subject) ({seen} >= on (run_id) group_left () ({ended} - 10))"


def _once(series: str) -> str:
    return f"max without (instance, job) ({series})"
