"""What the metrics of one run are read from: its state, and what is kept beside it; for serving and for exporting."""

from density.events import Event, HostSampled, ProbeMeasured
from density.metrics.collector import Snapshot, Taken
from density.metrics.current import current_readings
from density.metrics.findings import Finder
from density.metrics.histogram import Histograms
from density.metrics.instances import Lives
from density.metrics.table import TABLE, Seen
from density.metrics.table.instances import INSTANCES
from density.state import RunState


class Observer:
    """Sees one run; all but `learn` is called in the thread that changes the state.

    Args:
        state: the run's state, which has folded an event before `handle` gets it.
        per_instance: also keep and show single instances.
    """

    def __init__(self, state: RunState, *, per_instance: bool = False) -> None:
        self._state = state
        self._per_instance = per_instance
        self._table = (*TABLE, *INSTANCES) if per_instance else TABLE
        self._histograms = Histograms()
        self._lives = Lives()
        self._finder = Finder()

    def handle(self, event: Event) -> None:
        """Count what the state does not keep; everything else is read from it at a scrape.

        Launches are counted with every sample of the host, a few at a time, so that no scrape finds thousands to count.
        """
        if isinstance(event, ProbeMeasured):
            self._histograms.probe(event.workload, event.seconds)
        elif isinstance(event, HostSampled):
            self._histograms.catch_up(self._state)
        if self._per_instance:
            self._lives.handle(event, self._state)

    def due(self, *, urgent: bool = False) -> RunState | None:
        """What there is to learn before `take` can show it; None where there is nothing.

        Args:
            urgent: only what should be learned first, see `Finder.urgent`.
        """
        if urgent and not self._finder.urgent(self._state):
            return None
        return self._finder.due(self._state)

    def learn(self, state: RunState) -> None:
        """Find out what was due; call it in any thread."""
        self._finder.learn(state)

    def take(self) -> Snapshot:
        """Every series of this moment; nothing before the run has begun."""
        if not self._state.run_id:
            return Snapshot("", ())
        self._histograms.catch_up(self._state)
        seen = Seen(
            self._state,
            self._state.host,
            current_readings(self._state),
            self._histograms,
            self._finder.latest,
            self._lives,
        )
        taken = (Taken(metric, tuple(metric.read(seen))) for metric in self._table)
        return Snapshot(self._state.run_id, tuple(series for series in taken if series.rows))
