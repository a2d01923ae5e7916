"""A difference between runs with its interval, from what each run measured and how sure it is of that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean, variance

from scipy import stats

ALPHA = 0.05
"""A difference counts as seen where chance alone would show one, anywhere in the comparison, less often than this."""
SAME = 1e-6
"""Values that differ by less than this share are the same value, rounded differently."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric as one run measured it.

    Attributes:
        error: standard error of `value` within the run; 0 where it was counted exactly.
        freedom: degrees of freedom that `error` was found with.
    """

    value: float
    error: float
    freedom: float = math.inf


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a metric went from the baseline, in the metric's unit.

    Attributes:
        change: other - baseline.
        low, high: its 95 % interval, by itself; infinite where nothing is known of the noise.
        p: how often chance alone would make a difference as large; 1 where nothing is known of the noise.
    """

    baseline: float
    other: float
    change: float
    low: float
    high: float
    p: float

    def share(self, change: float) -> float | None:
        """A change as a share of the baseline; None where there is nothing to be a share of."""
        return change / self.baseline if self.baseline > 0 and math.isfinite(change) else None


def difference(baseline: Sequence[Measured], others: Sequence[Measured]) -> Difference:
    """The difference between the means of two groups of runs, at least one each.

    With one run each, the runs' own errors are all that is known. Where a group has several, runs are what is repeated:
    their scatter, pooled over both groups, is what the difference is held against, and not only the errors within
    (T. Kalibera, R. Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013).
    """
    means = [fmean(run.value for run in group) for group in (baseline, others)]
    error, freedom = combined(
        _within(baseline, others), *([run.value for run in group] for group in (baseline, others))
    )
    change = means[1] - means[0]
    margin, p = margin_and_p(change, error, freedom, negligible=SAME * max(map(abs, means)))
    return Difference(means[0], means[1], change, change - margin, change + margin, p)


def of_counts(baseline: Sequence[Measured], others: Sequence[Measured]) -> Difference:
    """The difference of counts by their ratio, since none can fall by more than all of it.

    Args:
        baseline, others: runs, each with an error below its value, or one that is not known.

    The values are geometric means. Where a count is 0, or its error is not known, it is that of their means.
    """
    groups = (baseline, others)
    if any(run.value <= 0 or math.isinf(run.error) for group in groups for run in group):
        return difference(baseline, others)
    logs = [[replace(run, value=math.log(run.value), error=run.error / run.value) for run in group] for group in groups]
    ratio = difference(*logs)
    before, after = (_geometric_mean([run.value for run in group]) for group in groups)
    low, high = (before * math.expm1(bound) for bound in (ratio.low, ratio.high))
    return Difference(before, after, after - before, low, high, ratio.p)


def _geometric_mean(values: Sequence[float]) -> float:
    return values[0] if len(set(values)) == 1 else geometric_mean(values)  # counts that agree stay whole


def combined(within: tuple[float, float], baseline: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a difference of means.

    Args:
        within: the same by the errors within the runs.
        baseline, others: one value a run.

    The scatter of the runs (two-sample t with a pooled variance, so that a single new run can be held against several
    old ones) counts where it is the larger: it holds the errors within the runs, too.
    """
    freedom = len(baseline) + len(others) - 2
    if not freedom:
        return within
    squares = sum(variance(group) * (len(group) - 1) for group in (baseline, others) if len(group) > 1)
    between = math.sqrt(squares / freedom * (1 / len(baseline) + 1 / len(others)))
    return (between, float(freedom)) if between > within[0] else within


def margin_and_p(change: float, error: float, freedom: float, *, negligible: float = 0.0) -> tuple[float, float]:
    """Half the 95 % interval of a change, and how often chance would make one as large (two-sided t)."""
    if abs(change) <= negligible:
        return float(stats.t.ppf(1 - ALPHA / 2, freedom)) * error, 1.0
    if error <= 0:
        return 0.0, 0.0
    return float(stats.t.ppf(1 - ALPHA / 2, freedom)) * error, 2 * float(stats.t.sf(abs(change) / error, freedom))


def holm(ps: Sequence[float]) -> list[float]:
    """Each p so that all together raise a false alarm no more often than one alone, in the same order.

    S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6 (1979).
    """
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        least = max(least, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = least
    return adjusted


def _within(baseline: Sequence[Measured], others: Sequence[Measured]) -> tuple[float, float]:
    """The errors of the runs, put together; degrees of freedom by Welch and Satterthwaite (Biometrics 2, 1946)."""
    parts = [((run.error / len(group)) ** 2, run.freedom) for group in (baseline, others) for run in group]
    total = sum(part for part, _ in parts)
    if math.isinf(total):
        return math.inf, 1.0
    lost = sum(part**2 / freedom for part, freedom in parts)
    return math.sqrt(total), total**2 / lost if lost else math.inf
