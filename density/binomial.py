"""What a sample says of a share, and of a percentile: exact bounds from the binomial distribution, for any sample size.

A trial is good or bad (a launch failed, a ping took longer than allowed). With `n` trials of which each is bad with
probability `p`, the number of bad ones is binomial; its tail is the regularized incomplete beta function:
P(X >= k) = I_p(k, n - k + 1) (Abramowitz and Stegun, 26.5.24).
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from scipy.special import betainc, betaincinv


def chance(bad: int, total: int, share: float) -> float:
    """P(X >= bad): how likely so many bad ones are, or more, where `share` of all are bad."""
    if bad <= 0:
        return 1.0
    return float(betainc(bad, total - bad + 1, share))


def share_bounds(bad: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper bound of the true share of bad ones, each at this confidence (one-sided).

    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934): the share at which so many, or more (fewer), are just as unlikely as 1 - confidence.
    """
    low = float(betaincinv(bad, total - bad + 1, 1 - confidence)) if bad > 0 else 0.0
    high = float(betaincinv(bad + 1, total - bad, confidence)) if bad < total else 1.0
    return low, high


def quantile_bounds(ordered: Sequence[float], q: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper bound of the `q` quantile, each at this confidence (one-sided), whatever the distribution is.

    Order statistics: the r-th smallest of n lies above the quantile only where fewer than r are below it, which is
    P(X <= r - 1) with X binomial (n, q) (H. A. David, H. N. Nagaraja, "Order Statistics", 3rd edition, 7.1). The bounds
    are the largest (smallest) order statistic for which that is unlikely enough; -inf or inf where there is none.

    Args:
        ordered: the sample, ascending.
    """
    n, unlikely = len(ordered), 1 - confidence
    ranks = range(1, n + 1)
    low = bisect_right(ranks, unlikely, key=lambda rank: chance(n - rank + 1, n, 1 - q))
    high = bisect_left(ranks, -unlikely, key=lambda rank: -chance(rank, n, q))
    return (ordered[low - 1] if low else -math.inf), (ordered[high] if high < n else math.inf)
