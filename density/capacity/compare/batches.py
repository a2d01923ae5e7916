"""Samples of launches compared at equal counts, so that neither the count nor what launches share misleads.

Launches are no independent samples: they wait in the same queue, and an engine that is slow for one is slow for the
next. Each run's launches are cut into the same few batches by count, long enough to be nearly independent, and what
counts as one observation is the difference within a batch (batch means: B. Schmeiser, Batch Size Effects in the
Analysis of Simulation Output, Operations Research 30, 1982). That each batch is at the same counts in every run takes
the growth with the count out; a tail such as p95 over a whole run is made of little else.

Times are compared by their ratios: they cannot be negative, and what slows a host down slows long launches by more.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from scipy import stats

from density.capacity.compare.difference import Difference, combined, margin_and_p
from density.capacity.footprint import Array

MOST_BATCHES = 10
"""Of simulated runs of one profile, 20 batches found 21 % of the pairs different at p = 0.05, and 10 found 6 %."""
FEWEST_BATCHES = 5
BATCH = 8
"""Launches that a batch should have in each run."""


@dataclass(frozen=True, slots=True)
class Series:
    """One value a launch.

    Attributes:
        counts: instances alive once this one was ready.
        values: seconds, above 0.
    """

    counts: Array
    values: Array


@dataclass(frozen=True, slots=True)
class Statistic:
    """What is compared in each batch.

    Attributes:
        of: the values of a batch, to a logarithm, so that differences are ratios.
        batch: launches that a batch should have.
    """

    of: Callable[[Array], float]
    batch: int = BATCH


def centre() -> Statistic:
    """Where the values lie: the median of the means of all two of their logarithms.

    The estimate of J. Hodges and E. Lehmann (Ann. Math. Statist. 34, 1963): nearly as exact as the mean where there are
    no outliers, nearly as sturdy as the median where there are.
    """
    return Statistic(_walsh_median)


def at_quantile(q: float) -> Statistic:
    """A quantile, by the rule that is nearly median-unbiased in samples of any size (8 of Hyndman and Fan, 1996).

    A batch has enough launches for one of them to be past the quantile.
    """
    return Statistic(
        lambda values: math.log(float(np.quantile(values, q, method="median_unbiased"))), math.ceil(1 / (1 - q))
    )


def rate() -> Statistic:
    """Launches per second, from the seconds between them."""
    return Statistic(lambda values: -math.log(float(values.mean())))


Batches = Sequence[Array]
"""The values of one run, by batch; the same batches in every run."""


@dataclass(frozen=True, slots=True)
class EqualCounts:
    """The launches of two groups of runs at counts that every run has been at, by run and batch."""

    baseline: Sequence[Batches]
    others: Sequence[Batches]

    def difference(self, statistic: Statistic) -> Difference:
        """The difference between the groups; the values are geometric means over these counts.

        With one run each, its error is that of the differences in the batches; with several, that of the scatter
        between runs where it is larger.
        """
        found = [
            np.array([[statistic.of(batch) for batch in run] for run in group])
            for group in (self.baseline, self.others)
        ]
        runs = [[float(value) for value in group.mean(axis=1)] for group in found]
        start, end = (fmean(group) for group in runs)
        within = _error(found[1].mean(axis=0) - found[0].mean(axis=0))
        several = len(self.baseline) + len(self.others) > 2
        error, freedom = combined((0.0, math.inf) if several and math.isinf(within[0]) else within, *runs)
        margin, p = margin_and_p(end - start, error, freedom)
        base = math.exp(start)
        low, high = (base * math.expm1(end - start + side) for side in (-margin, margin))
        return Difference(base, math.exp(end), math.exp(end) - base, low, high, p)

    def delta(self) -> float:
        """Cliff's delta within the batches: how much more often a launch of the others is the slower one, -1 to 1.

        N. Cliff, Dominance Statistics, Psychological Bulletin 114 (1993), by way of the U of Mann and Whitney.
        """
        won = pairs = 0.0
        for batch in range(len(self.baseline[0])):
            baseline, others = (np.concatenate([run[batch] for run in group]) for group in (self.baseline, self.others))
            won += float(stats.mannwhitneyu(others, baseline, method="asymptotic").statistic)
            pairs += len(baseline) * len(others)
        return 2 * won / pairs - 1


def equal_counts(baseline: Sequence[Series], others: Sequence[Series], *, batch: int = BATCH) -> EqualCounts | None:
    """Cut runs into batches of at least about `batch` launches; None where they have no counts in common."""
    runs = [*baseline, *others]
    low = max(float(run.counts.min()) for run in runs)
    high = min(float(run.counts.max()) for run in runs)
    within = [(run.counts >= low) & (run.counts <= high) for run in runs]
    least = min(int(inside.sum()) for inside in within)
    if not least:
        return None
    counts = np.concatenate([run.counts[inside] for run, inside in zip(runs, within, strict=True)])
    wanted = max(1, min(MOST_BATCHES, least // batch))
    edges = np.quantile(counts, np.linspace(0, 1, wanted + 1)[1:-1])
    cut = [_cut(run.counts[inside], run.values[inside], edges) for run, inside in zip(runs, within, strict=True)]
    # Runs that step back and come again have more launches at some counts: a batch may be thin in one of the runs.
    thin = min(least, (batch + 1) // 2)
    kept = [index for index, each in enumerate(zip(*cut, strict=True)) if min(map(len, each)) >= thin]
    chosen = [[run[index] for index in kept] for run in cut]
    return EqualCounts(chosen[: len(baseline)], chosen[len(baseline) :]) if kept else None


def _cut(counts: Array, values: Array, edges: Array) -> list[Array]:
    batch = np.searchsorted(edges, counts)
    return [values[batch == index] for index in range(len(edges) + 1)]


def _error(differences: Array) -> tuple[float, float]:
    """Standard error of their mean and its degrees of freedom; infinite where there are too few to know it."""
    count = len(differences)
    if count < FEWEST_BATCHES:
        return math.inf, 1.0
    return stdev(differences) / math.sqrt(count), float(count - 1)


def _walsh_median(values: Array) -> float:
    logs = np.log(values)
    first, second = np.triu_indices(len(logs))
    return float(np.median((logs[first] + logs[second]) / 2))
