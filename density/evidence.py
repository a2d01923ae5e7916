"""What launches and pings of one workload say of its objectives: met, violated, or not yet known.

An objective allows a share of bad trials: `failures` that share of the launches, `ready_p95` 5 % that take longer,
`probe_p99` 1 %. Each wave is a look at it, and a ramp looks often, so one look has to be surer than all of them
together: the k-th look says "violated" where so many bad trials, or more, have a chance of at most 1 %/k if the
objective is just met. That is the lower confidence bound (Clopper and Pearson) of the share beyond what is allowed, or
the lower bound of the percentile (order statistics) beyond its limit. With the objective just met, a ramp of 80 waves
ends by chance in at most 5 % of the runs; with half the share it does in less than 1 in 1,000.

The launches that count are the last wave, with as many waves before as make twice as many, and so on to all of them:
a share that is constant is found by all, one that began lately by the last.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from density.binomial import chance, quantile_bounds, share_bounds
from density.statistics import quantile

SPENT = 0.01
"""Chance of the first look to be wrong where the objective is just met; the k-th look has a k-th of it."""
EXPLAINED = 0.1
"""Bad trials are explained by chance where so many, or more, come at least so often with the objective just met."""
ENOUGH = 20
"""Trials that are enough to say "met" where no more are bad than is allowed."""
SOME = 10
"""Trials below which one more could change what is known."""
FEW = 4
"""Times that are enough for it where all are far from their limit: below the share NEAR of it."""
NEAR = 0.5
MOST_TIMES = 20_000
READY, PROBE = 0.95, 0.99
"""The quantiles of the objectives for times."""


class Judged(IntEnum):
    """What is known of an objective; DOUBTFUL, SPARSE and PLAUSIBLE are "not yet known".

    DOUBTFUL: there is too little to say "violated", and too much to call it chance, or too few trials for that.
    SPARSE: there are only a few trials, which are all right. PLAUSIBLE: there is too little to say "met", and nothing
    that chance does not explain.
    """

    VIOLATED = -1
    DOUBTFUL = 0
    SPARSE = 1
    PLAUSIBLE = 2
    MET = 3

    @property
    def words(self) -> str:
        """`met`, `violated` or `not yet known`."""
        return {Judged.VIOLATED: "violated", Judged.MET: "met"}.get(self, "not yet known")


class Window(NamedTuple):
    """The trials from number `start` on."""

    start: int
    total: int
    bad: int


class Finding(NamedTuple):
    """What is known, and the trials that show it best."""

    judged: Judged
    window: Window


@dataclass(slots=True)
class Trials:
    """Trials in order, and of each wave how many were bad."""

    total: int = 0
    starts: list[int] = field(default_factory=lambda: [0])
    bads: list[int] = field(default_factory=lambda: [0])

    def add(self, *, bad: bool) -> None:
        """One more."""
        self.total += 1
        self.bads[-1] += bad

    def spoil(self, number: int) -> None:
        """The trial of this number, from 0, that was good has turned out bad."""
        self.bads[bisect_right(self.starts, number) - 1] += 1

    def look(self) -> None:
        """The wave is over."""
        if self.starts[-1] < self.total:
            self.starts.append(self.total)
            self.bads.append(0)

    def forget_wave(self) -> None:
        """Take back what came since the last look."""
        self.total, self.bads[-1] = self.starts[-1], 0

    @property
    def looks(self) -> int:
        """How often they were looked at, with the wave that is going on."""
        return max(1, len(self.starts) - (self.starts[-1] == self.total))

    def windows(self) -> Iterator[Window]:
        """The last waves, each time about twice as many trials, and all of them last."""
        bad, least = 0, ENOUGH
        for start, own in zip(reversed(self.starts), reversed(self.bads), strict=True):
            bad += own
            total = self.total - start
            if total and (start == 0 or total >= least):
                least = 2 * total
                yield Window(start, total, bad)

    def copy(self) -> "Trials":
        """The same trials, to which later ones are not added."""
        return Trials(self.total, [*self.starts], [*self.bads])

    def judge(self, allowed: float, *, clear: bool = False, least: int = 1, looks: int = 0) -> Finding | None:
        """What they say of an objective; None where there are none.

        Args:
            allowed: the share that may be bad.
            clear: none is even near being bad, so that fewer are enough.
            least: trials without which "violated" is not said.
            looks: how often they were looked at, where their waves do not tell.
        """
        windows = list(self.windows())
        if not windows:
            return None
        worst, whole = min(windows, key=lambda each: chance(each.bad, each.total, allowed)), windows[-1]
        odds = chance(worst.bad, worst.total, allowed)
        if odds <= SPENT / (looks or self.looks) and worst.total >= least:
            return Finding(Judged.VIOLATED, worst)
        within = whole.bad <= allowed * whole.total
        if odds <= EXPLAINED or (whole.total < SOME and not within):
            return Finding(Judged.DOUBTFUL, whole)
        if within and (whole.total >= ENOUGH or (whole.total >= FEW and clear)):
            return Finding(Judged.MET, whole)
        return Finding(Judged.SPARSE if whole.total < SOME else Judged.PLAUSIBLE, whole)


@dataclass(slots=True)
class Times:
    """Times that an objective for a quantile is about; `limit` is None where none is set."""

    q: float
    limit: float | None = None
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    trials: Trials = field(default_factory=Trials)

    def extend(self, seconds: Iterable[float]) -> None:
        """Some more."""
        for each in seconds:
            self.add(each)

    def add(self, seconds: float) -> None:
        """One more; beyond MOST_TIMES the older half of them is forgotten."""
        if len(self.seconds) >= MOST_TIMES:
            kept = self.seconds[MOST_TIMES // 2 :]
            self.clear()
            self.extend(kept)
        self.seconds.append(seconds)
        self.trials.add(bad=self.limit is not None and seconds > self.limit)

    def forget_wave(self) -> None:
        """Take back what came since the last look."""
        self.trials.forget_wave()
        del self.seconds[self.trials.total :]

    def copy(self) -> "Times":
        """The same times, to which later ones are not added."""
        return Times(self.q, self.limit, self.seconds[:], self.trials.copy())

    def clear(self) -> None:
        """Forget all."""
        self.seconds = array("d")
        self.trials = Trials()

    def measures(self, name: str, noun: str, *, least: int = 1, looks: int = 0) -> dict[str, float]:
        """Values by names that begin with `name`: the quantile, its bounds, how many there are, what is known."""
        if not self.seconds:
            return {}
        limit = self.limit
        clear = limit is not None and len(self.seconds) < ENOUGH and max(self.seconds) <= NEAR * limit
        finding = self.trials.judge(1 - self.q, clear=clear, least=least, looks=looks) if limit is not None else None
        ordered = sorted(self.seconds[finding.window.start :] if finding else self.seconds)
        low, high = quantile_bounds(ordered, self.q)
        p = f"{name}.p{self.q * 100:.0f}"
        found = {f"{p}_seconds": quantile(ordered, self.q), f"{name}.{noun}_count": float(len(ordered))}
        # A bound that is none has no value: the sample is too small for one.
        found |= {f"{p}_low_seconds": low} if low >= ordered[0] else {}
        found |= {f"{p}_high_seconds": high} if high <= ordered[-1] else {}
        return found | ({f"{name}.judged_level": float(finding.judged)} if finding else {})


@dataclass(slots=True)
class Evidence:
    """Launches and pings of one workload, since it was last measured anew.

    Attributes:
        failures_allowed: share of the launches; None where no such objective is set.
        launches: each is bad that failed, or died after it was ready.
        survivors: instances of before; each is bad that died since.
        ready, probes: times to ready, and round trips at rest.
        first: number of the first launch that is still in it, counted from the run's first.
    """

    failures_allowed: float | None = None
    launches: Trials = field(default_factory=Trials)
    survivors: Trials = field(default_factory=Trials)
    ready: Times = field(default_factory=lambda: Times(READY))
    probes: Times = field(default_factory=lambda: Times(PROBE))
    first: int = 0

    def ended(self, seconds: float | None) -> int:
        """A launch came to its end, ready after so long; None: it failed. Returns its number, for `died`."""
        self.launches.add(bad=seconds is None)
        if seconds is not None:
            self.ready.add(seconds)
        return self.first + self.launches.total - 1

    def died(self, number: int) -> None:
        """An instance that was ready has died: its launch failed after all."""
        if number >= self.first:
            self.launches.spoil(number - self.first)
        else:
            self.survivors.spoil(0)

    def look(self, pings: Iterable[float], *, in_doubt: bool) -> None:
        """A wave is over.

        Args:
            pings: round trips while the host rested after it.
            in_doubt: density itself was late meanwhile, so the times of this wave are not used later.
        """
        if in_doubt:
            self.ready.forget_wave()
        else:
            self.probes.extend(pings)
        for trials in (self.launches, self.ready.trials, self.probes.trials):
            trials.look()

    def clear(self, *, alive: int) -> None:
        """Measure anew, with so many that are alive already."""
        self.first += self.launches.total
        self.launches, self.survivors = Trials(), Trials(total=alive)
        self.ready.clear()
        self.probes.clear()

    def copy(self) -> "Evidence":
        """The same, to which nothing is added later."""
        return Evidence(
            self.failures_allowed,
            self.launches.copy(),
            self.survivors.copy(),
            self.ready.copy(),
            self.probes.copy(),
            first=self.first,
        )

    def measures(self, workload: str, pings: Iterable[float], *, searching: bool) -> dict[str, float]:
        """Values by the names that the catalogue of ceilings reads.

        Args:
            pings: round trips that no look has taken yet.
            searching: also few launches may show that times to ready are too long; in a ramp the first ones may be
                slow for a reason of their own.
        """
        probes = self.probes.copy()
        probes.extend(pings)
        return {
            **self.ready.measures(f"slo.ready.{workload}", "launches", least=1 if searching else ENOUGH),
            **probes.measures(f"slo.probe.{workload}", "pings"),
            **self._failures(f"slo.failures.{workload}"),
        }

    def _failures(self, name: str) -> dict[str, float]:
        allowed = self.failures_allowed
        trials = [self.launches, *([self.survivors] if any(self.survivors.bads) else [])]
        found = [finding for each in trials if (finding := each.judge(0.0 if allowed is None else allowed))]
        if not found:
            return {}
        judged, window = min(found)
        low, high = share_bounds(window.bad, window.total)
        return {
            f"{name}.failed_ratio": window.bad / window.total,
            f"{name}.failed_low_ratio": low,
            f"{name}.failed_high_ratio": high,
            f"{name}.failed_count": float(window.bad),
            f"{name}.launches_count": float(window.total),
        } | ({} if allowed is None else {f"{name}.judged_level": float(judged)})


def evidence_for(objectives: Mapping[str, float]) -> Evidence:
    """With the limits of a run's objectives, by the names of `density.profile.spec.Objectives`."""
    return Evidence(
        failures_allowed=objectives.get("failures_share"),
        ready=Times(READY, objectives.get("ready_p95_seconds")),
        probes=Times(PROBE, objectives.get("probe_p99_seconds")),
    )


def probe_measures(workload: str, seconds: Iterable[float], limit: float | None, *, looks: int = 1) -> dict[str, float]:
    """What these round trips of a workload say at this look, by the names that the catalogue of ceilings reads."""
    probes = Times(PROBE, limit)
    probes.extend(seconds)
    return probes.measures(f"slo.probe.{workload}", "pings", looks=looks)
