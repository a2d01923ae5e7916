"""Histograms kept as they grow, so that a scrape costs the same after ten launches and after ten thousand."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from density.state import RunState

LAUNCH_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0, 120.0)
"""From a process (a few ms) over a container (0.1–1 s) and a VM (2–20 s) to the ready timeout."""
PROBE_SECONDS = (25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""From a container's idle round trip (51 us measured) over an emulated VM's (4.6 ms) to one that starves."""


class Distribution(NamedTuple):
    """One histogram at one moment: cumulative counts, one a bound and one for everything; the sum of all values."""

    bounds: tuple[float, ...]
    cumulative: tuple[int, ...]
    total: float


class Histogram:
    """Counts of values between bounds; a value equal to a bound is below it, as Prometheus has it."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._taken = 0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value
        self._taken += 1

    def catch_up(self, values: Sequence[float]) -> None:
        """Count what is new in a list that only ever grows."""
        for value in values[self._taken :]:
            self.observe(value)

    def distribution(self) -> Distribution:
        """What was counted so far."""
        return Distribution(self._bounds, tuple(accumulate(self._counts)), self._total)


class Histograms:
    """Every histogram of a run: launches by workload and phase, probes by workload."""

    def __init__(self) -> None:
        self._launches: dict[tuple[str, ...], Histogram] = {}
        self._probes: dict[tuple[str, ...], Histogram] = {}

    def probe(self, workload: str, seconds: float) -> None:
        """Count one probe; the state keeps the recent ones only, so each has to be told."""
        self._of(self._probes, (workload,), PROBE_SECONDS).observe(seconds)

    def catch_up(self, state: RunState) -> None:
        """Count the launches that the state has and these have not."""
        for name, workload in state.workloads.items():
            for phase, seconds in (
                ("created", workload.created_seconds),
                ("started", workload.started_seconds),
                ("ready", workload.ready_seconds),
            ):
                self._of(self._launches, (name, phase), LAUNCH_SECONDS).catch_up(seconds)

    def launches(self) -> dict[tuple[str, ...], Distribution]:
        """Seconds from the intended launch, by workload and phase."""
        return {labels: histogram.distribution() for labels, histogram in self._launches.items()}

    def probes(self) -> dict[tuple[str, ...], Distribution]:
        """Seconds of round trips, by workload."""
        return {labels: histogram.distribution() for labels, histogram in self._probes.items()}

    @staticmethod
    def _of(among: dict[tuple[str, ...], Histogram], labels: tuple[str, ...], bounds: tuple[float, ...]) -> Histogram:
        histogram = among.get(labels)
        if histogram is None:
            histogram = among[labels] = Histogram(bounds)
        return histogram
