"""A recorded run as OpenMetrics text: its events through the same fold and the same table as when it was served."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from density.errors import DensityError, RecordError
from density.events import Event, HostSampled
from density.metrics.collector import Snapshot
from density.metrics.observer import Observer
from density.metrics.openmetrics import END, head, names, values
from density.metrics.spool import Spool
from density.metrics.table import TABLE
from density.state import RunState


@dataclass(slots=True)
class Exported:
    """What was exported: moments, series, and the times of the first and the last moment in UNIX seconds."""

    moments: int = 0
    series: int = 0
    first: float = 0.0
    last: float = 0.0


def export(events: Iterable[Event], write: Callable[[str], object]) -> Exported:
    """Write a run, one moment for each sample of the host and one for its end.

    A moment has a sample of every series that a scrape would have found then. OpenMetrics wants a family's samples
    together, and a series' in the order of time, so they wait in a temporary file.

    Raises:
        RecordError: the run never began.
        DensityError: the temporary file has no place.
    """
    exported = Exported()
    try:
        with Spool() as spool:
            shelf = _Shelf(spool)
            for wall, snapshot in _moments(events):
                shelf.put(snapshot, wall)
                exported.moments += 1
                exported.first = exported.first or wall
                exported.last = wall
            exported.series = shelf.series
            for text in shelf.families():
                write(text)
    except sqlite3.Error as error:
        raise DensityError(f"the samples cannot be put into a temporary file (see SQLITE_TMPDIR): {error}") from error
    write(END)
    return exported


def _moments(events: Iterable[Event]) -> Iterator[tuple[float, Snapshot]]:
    """Snapshots with their UNIX seconds, which grow by a millisecond at least: Prometheus knows no shorter time."""
    state = RunState()
    observer = Observer(state)
    last = 0
    for event in events:
        state.apply(event)
        observer.handle(event)
        if isinstance(event, HostSampled) and (now := _milliseconds(state, event.at)) > last:
            last = now
            yield now / 1000, _snapshot(observer)
    if not state.run_id:
        raise RecordError("the record is empty: the run was cut off before it began")
    yield max(last + 1, _milliseconds(state, state.now)) / 1000, _snapshot(observer)


def _milliseconds(state: RunState, at: float) -> int:
    return round((state.wall + at - state.started_at) * 1000)


def _snapshot(observer: Observer) -> Snapshot:
    if (due := observer.due()) is not None:
        observer.learn(due)
    return observer.take()


class _Shelf:
    """Puts each series' samples where they belong."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._order = {metric.name: number for number, metric in enumerate(TABLE)}
        self._series: dict[tuple[str, tuple[str, ...]], tuple[int, tuple[str, ...]]] = {}

    @property
    def series(self) -> int:
        """How many there are; a histogram's are one."""
        return len(self._series)

    def put(self, snapshot: Snapshot, wall: float) -> None:
        """Take one moment."""
        for metric, rows in snapshot.taken:
            for row in rows:
                known = self._series.get((metric.name, row.labels))
                if known is None:
                    known = len(self._series), names(metric, snapshot.run_id, row)
                    self._series[metric.name, row.labels] = known
                number, samples = known
                lines = (f"{name} {value} {wall:.3f}\n" for name, value in zip(samples, values(row), strict=True))
                self._spool.add((self._order[metric.name], number), "".join(lines))

    def families(self) -> Iterator[str]:
        """The whole text but its end."""
        for major, pieces in groupby(self._spool.pieces(), key=lambda piece: piece[0][0]):
            yield head(TABLE[major])
            yield from map(itemgetter(1), pieces)
