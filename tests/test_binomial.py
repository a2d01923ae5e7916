"""Bounds of shares and percentiles, against counting every outcome."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.binomial import chance, quantile_bounds, share_bounds

SHARES = st.floats(0.001, 0.999)


def tail(bad: int, total: int, share: float) -> float:
    """P(X >= bad), by adding up what each number of bad ones has for a probability, in whole numbers."""
    p = Fraction(share)
    terms = (math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(bad, total + 1))
    return float(sum(terms))


@given(st.integers(0, 40), st.integers(0, 40), SHARES)
def test_the_chance_of_so_many_is_the_sum_of_all_such_outcomes(bad: int, good: int, share: float) -> None:
    """The incomplete beta function gives what counting gives."""
    assert chance(bad, bad + good, share) == pytest.approx(tail(bad, bad + good, share), rel=1e-9, abs=1e-15)


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from([0.9, 0.95, 0.99, 0.999]))
def test_a_bound_is_the_share_at_which_so_many_are_just_as_unlikely(bad: int, good: int, confidence: float) -> None:
    """Clopper and Pearson's: below the lower one so many are rarer than 1 - confidence, above the upper one so few."""
    total = bad + good
    if not total:
        return
    low, high = share_bounds(bad, total, confidence=confidence)
    assert 0 <= low <= bad / total <= high <= 1
    assert low == 0 if bad == 0 else tail(bad, total, low) == pytest.approx(1 - confidence, rel=1e-6)
    assert high == 1 if good == 0 else 1 - tail(bad + 1, total, high) == pytest.approx(1 - confidence, rel=1e-6)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("total", [7, 40, 150])
def test_the_bounds_hold_as_often_as_they_say(total: int, share: float) -> None:
    """Over every outcome, weighed by its probability, each bound is right in at least 95 of 100."""
    weights = [math.comb(total, bad) * share**bad * (1 - share) ** (total - bad) for bad in range(total + 1)]
    bounds = [share_bounds(bad, total) for bad in range(total + 1)]
    assert sum(weight for weight, (low, _) in zip(weights, bounds, strict=True) if low <= share) >= 0.95
    assert sum(weight for weight, (_, high) in zip(weights, bounds, strict=True) if high >= share) >= 0.95


@given(st.integers(1, 400), st.sampled_from([0.5, 0.95, 0.99]), st.sampled_from([0.9, 0.95, 0.999]))
def test_bounds_of_a_percentile_are_the_order_statistics_that_counting_gives(
    total: int, q: float, confidence: float
) -> None:
    """The largest rank that lies above the quantile rarely enough, and the smallest that lies below it so."""
    ordered = [float(rank) for rank in range(1, total + 1)]
    low, high = quantile_bounds(ordered, q, confidence=confidence)
    above = [rank for rank in range(1, total + 1) if chance(total - rank + 1, total, 1 - q) <= 1 - confidence]
    below = [rank for rank in range(1, total + 1) if chance(rank, total, q) <= 1 - confidence]
    assert low == max(above, default=-math.inf)
    assert high == min(below, default=math.inf)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200), st.floats(0, 10), st.sampled_from([0.95, 0.99]))
def test_a_percentile_is_beyond_a_limit_where_the_share_of_slow_ones_is(
    seconds: list[float], limit: float, q: float
) -> None:
    """The lower bound of the percentile exceeds the limit just where so many slow ones are unlikely enough."""
    low, _ = quantile_bounds(sorted(seconds), q, confidence=0.99)
    slow = sum(each > limit for each in seconds)
    assert (low > limit) == (chance(slow, len(seconds), 1 - q) <= 1 - 0.99)


def test_how_many_are_needed_without_a_single_bad_one() -> None:
    """The numbers that every table has: 59 for 95 %, 299 for 99 %."""
    assert quantile_bounds([1.0] * 58, 0.95)[1] == math.inf
    assert quantile_bounds([1.0] * 59, 0.95)[1] == 1.0
    assert quantile_bounds([1.0] * 298, 0.99)[1] == math.inf
    assert quantile_bounds([1.0] * 299, 0.99)[1] == 1.0
    assert share_bounds(0, 299)[1] == pytest.approx(0.01, rel=0.01)
