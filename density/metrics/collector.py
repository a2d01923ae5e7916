"""From a run's series to Prometheus' families.

`Observer.take` looks at the state and makes plain, immutable rows: under a millisecond, in the event loop's thread,
between two events, so what it sees is consistent and no event waits for a lock. `SnapshotCollector` turns the rows into
what the client library prints, which is most of a scrape's cost, in the thread that serves it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from density.metrics.histogram import Distribution
from density.metrics.table import Metric, Row

RUN_ID = "run_id"
"""The label that every series has, so that runs after each other, and imported ones, never share a series."""


class Taken(NamedTuple):
    """One metric's series at one moment."""

    metric: Metric
    rows: tuple[Row, ...]


class Snapshot(NamedTuple):
    """Every metric that a run has something to say of, at one moment; nothing before the run has begun."""

    run_id: str
    taken: tuple[Taken, ...]


class SnapshotCollector(Collector):
    """What a `CollectorRegistry` asks; lives for one scrape."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Family]:
        """One family for each metric that has a series."""
        run_id, taken = self._snapshot
        for metric, rows in taken:
            yield _family(run_id, metric, rows)


def _family(run_id: str, metric: Metric, rows: tuple[Row, ...]) -> Family:
    family: GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily
    names = (RUN_ID, *metric.labels)
    match metric.type:
        case "gauge":
            family = GaugeMetricFamily(metric.name, metric.help, labels=names, unit=metric.suffix)
        case "counter":
            family = CounterMetricFamily(metric.name, metric.help, labels=names, unit=metric.suffix)
        case "histogram":
            family = HistogramMetricFamily(metric.name, metric.help, labels=names, unit=metric.suffix)
    for labels, value in rows:
        if isinstance(value, Distribution):
            bounds = (*map(str, value.bounds), "+Inf")
            buckets = list(zip(bounds, value.cumulative, strict=True))
            family.add_metric((run_id, *labels), buckets, value.total)  # type: ignore[arg-type]  # the histogram's own
        else:
            family.add_metric((run_id, *labels), value)  # type: ignore[call-arg,arg-type]  # the gauge's and counter's
    return family
