"""From the run's state to Prometheus' families, in two steps that run in two threads.

`take` looks at the state and makes plain, immutable rows: well under a millisecond, in the event loop's thread,
between two events, so what it sees is consistent and no event waits for a lock. `StateCollector` turns rows into what
the client library prints, which is most of a scrape's cost, in the thread that serves it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from density.metrics.current import current_readings
from density.metrics.histogram import Distribution, Histograms
from density.metrics.table import TABLE, Metric, Row, Seen
from density.state import RunState


class Taken(NamedTuple):
    """One metric's series at one moment."""

    metric: Metric
    rows: tuple[Row, ...]


def take(state: RunState, histograms: Histograms) -> tuple[Taken, ...]:
    """Every metric that this state has something to say of; call it in the thread that changes the state."""
    histograms.catch_up(state)
    seen = Seen(state, state.host, current_readings(state), histograms)
    return tuple(Taken(metric, rows) for metric in TABLE if (rows := tuple(metric.read(seen))))


class StateCollector(Collector):
    """What a `CollectorRegistry` asks at every scrape; `taking` gives the rows."""

    def __init__(self, taking: Callable[[], tuple[Taken, ...]]) -> None:
        self._taking = taking

    def collect(self) -> Iterator[Family]:
        """One family for each metric that has a series."""
        for metric, rows in self._taking():
            yield _family(metric, rows)


def _family(metric: Metric, rows: tuple[Row, ...]) -> Family:
    family: GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily
    match metric.type:
        case "gauge":
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        case "counter":
            family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        case "histogram":
            family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in rows:
        if isinstance(value, Distribution):
            bounds = (*map(str, value.bounds), "+Inf")
            buckets = list(zip(bounds, value.cumulative, strict=True))
            family.add_metric(labels, buckets, value.total)  # type: ignore[arg-type]  # the histogram's own signature
        else:
            family.add_metric(labels, value)  # type: ignore[call-arg,arg-type]  # the gauge's and the counter's
    return family
