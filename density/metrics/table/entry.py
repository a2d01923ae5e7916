"""What an entry of the table says, and the ways to read its series from a run's state."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from density.ceilings.reading import Reading, subjects
from density.metrics.findings import Findings
from density.metrics.histogram import Distribution, Histograms
from density.metrics.instances import Lives
from density.state import RunState


class Seen(NamedTuple):
    """What the metrics are read from, all of one moment; `values` are the host's."""

    state: RunState
    values: Mapping[str, float]
    readings: tuple[Reading, ...]
    histograms: Histograms
    findings: Findings
    lives: Lives


class Row(NamedTuple):
    """One series: label values in the order of the metric's labels, and its value."""

    labels: tuple[str, ...]
    value: float | Distribution


Read = Callable[[Seen], Iterable[Row]]
INFO = "info"
"""The unit of metrics whose value is always 1: the labels are what they say."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry.

    Attributes:
        unit: of the value: `seconds`, `bytes`, `ratio` (0 to 1), `timestamp` (UNIX seconds), `bool` (0 or 1), `info`,
            the plural noun of a count, or `of the ceiling` and `of the resource` where it differs by label.
        labels: beside `run_id`, which every series has.
        read: the series there are something to say of.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    unit: str
    labels: tuple[str, ...]
    help: str
    read: Read

    @property
    def family(self) -> str:
        """The name as OpenMetrics declares it: a counter's without its `_total`."""
        return self.name.removesuffix("_total") if self.type == "counter" else self.name

    @property
    def suffix(self) -> str:
        """The unit that OpenMetrics declares: the one that the name ends with, else none."""
        return self.unit if self.unit != INFO and self.family.endswith(f"_{self.unit}") else ""


def host(name: str) -> Read:
    """One of the host's values."""

    def read(seen: Seen) -> Iterator[Row]:
        if name in seen.values:
            yield Row((), seen.values[name])

    return read


def each(prefix: str, last: str) -> Read:
    """The host's values `PREFIX.SUBJECT.LAST`, one series a subject."""

    def read(seen: Seen) -> Iterator[Row]:
        for subject in subjects(seen.values, prefix, last):
            yield Row((subject,), seen.values[f"{prefix}.{subject}.{last}"])

    return read


def one(value: Callable[[RunState], float | None]) -> Read:
    """One number of the state; None where there is nothing to say yet."""

    def read(seen: Seen) -> Iterator[Row]:
        if (found := value(seen.state)) is not None:
            yield Row((), found)

    return read
