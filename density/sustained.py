"""What a hold has measured so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from density.statistics import LatencySeries


@dataclass(slots=True)
class HoldSeries:
    """Everything measured since one hold began; its size does not grow with the length of the hold.

    Attributes:
        began_at: when this hold began.
        samples: host samples so far; totals: the sum of every value over them, each weighted by the time since the
            sample before, which is the time that it stands for; seconds: the sum of the weights.
        lags: scheduling lags so far; lag_total: their sum.
        probes: round trips by workload.
    """

    began_at: float
    samples: int = 0
    seconds: float = 0.0
    totals: dict[str, float] = field(default_factory=dict)
    lags: int = 0
    lag_total: float = 0.0
    probes: dict[str, LatencySeries] = field(default_factory=dict)

    def add_sample(self, at: float, values: Mapping[str, float]) -> None:
        """One sample of the host."""
        weight = max(0.0, at - (self.began_at + self.seconds))
        self.samples += 1
        self.seconds += weight
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + weight * value

    def add_lag(self, seconds: float) -> None:
        """How late one sample came."""
        self.lags += 1
        self.lag_total += seconds

    def add_probe(self, workload: str, alive: int, seconds: float) -> None:
        """One round trip, with so many instances alive."""
        self.probes.setdefault(workload, LatencySeries()).add(alive, 0, seconds)

    def mark(self) -> "HoldSeries":
        """The sums as they are now, so that `means` can tell what came after."""
        return HoldSeries(self.began_at, self.samples, self.seconds, dict(self.totals), self.lags, self.lag_total)

    def means(self, since: "HoldSeries | None" = None) -> dict[str, float]:
        """Means of host values and lag over the hold, or since a mark; empty before the first sample."""
        before = since or HoldSeries(self.began_at)
        seconds, lags = self.seconds - before.seconds, self.lags - before.lags
        if seconds <= 0:
            return {}
        found = {name: (total - before.totals.get(name, 0.0)) / seconds for name, total in self.totals.items()}
        if lags:
            found["tester.lag_seconds"] = (self.lag_total - before.lag_total) / lags
        return found
