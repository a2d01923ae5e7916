"""Launches at equal counts: planted changes are found, and what only looks like one is not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from density.capacity.compare.batches import EqualCounts, Series, Statistic, at_quantile, centre, equal_counts, rate
from density.capacity.footprint import Array


def series(values: Array, *, start: int = 1) -> Series:
    """Launches one after the other, from this count on."""
    return Series(np.arange(start, start + len(values), dtype=np.float64), values)


def cut(*groups: list[Series], statistic: Statistic | None = None) -> EqualCounts:
    """The runs at equal counts."""
    found = equal_counts(*groups, batch=(statistic or centre()).batch)
    assert found is not None
    return found


def times(seed: int, count: int = 400) -> Array:
    """Of independent launches."""
    return np.random.default_rng(seed).lognormal(-1, 0.3, count)


@pytest.mark.parametrize("statistic", [centre(), at_quantile(0.95), rate()])
def test_a_planted_ratio_is_found_exactly(statistic: Statistic) -> None:
    """Each launch 5 % slower: 5 %, whatever is looked at (a rate falls by 1 / 1.05)."""
    before, after = [series(times(1))], [series(times(1) * 1.05)]
    found = cut(before, after, statistic=statistic).difference(statistic)
    expected = 1 / 1.05 - 1 if statistic.of(np.ones(8) * math.e) < 0 else 0.05
    assert found.share(found.change) == pytest.approx(expected)
    assert found.p < 1e-6


def test_a_run_that_goes_further_is_not_slower() -> None:
    """Launches that take longer the more there are: the medians of all differ by half, at equal counts nothing does."""
    counts = np.arange(1, 1001)
    short, long = times(1, 500) * (1 + counts[:500] / 250), times(2, 1000) * (1 + counts / 250)
    assert np.median(long) > 1.5 * np.median(short)
    found = cut([series(short)], [series(long)]).difference(centre())
    assert abs(found.change) < 0.1 * found.baseline
    assert found.p > 0.05


def test_what_launches_share_raises_no_alarm() -> None:
    """Launches that are slow together: a test that takes them as independent cries in half the pairs, this in few.

    With a correlation of 0.8 from one launch to the next, in 200 pairs of runs that differ by chance alone.
    """
    naive = careful = 0
    for seed in range(200):
        one, two = (_together(2 * seed + which) for which in (0, 1))
        naive += bool(stats.mannwhitneyu(one, two).pvalue < 0.05)
        careful += cut([series(one)], [series(two)]).difference(centre()).p < 0.05
    assert naive > 80
    assert careful <= 16


def _together(seed: int, *, count: int = 600, correlation: float = 0.8) -> Array:
    chance, level = np.random.default_rng(seed), 0.0
    logs = []
    for step in chance.normal(0, 0.1, count):
        level = correlation * level + step
        logs.append(level)
    return np.exp(np.array(logs, dtype=np.float64))


def test_one_wild_launch_moves_little() -> None:
    """A time 1,000 times too long, of 400, moves the centre by less than 1 %."""
    wild = times(1)
    wild[200] *= 1000
    found = cut([series(times(1))], [series(wild)]).difference(centre())
    assert abs(found.change) < 0.01 * found.baseline


def test_few_launches_tell_a_change_but_not_its_noise() -> None:
    """With 20 launches there are two batches: what was measured is told, how sure that is stays open."""
    found = cut([series(times(1, 20))], [series(times(1, 20) * 2)]).difference(centre())
    assert found.share(found.change) == pytest.approx(1.0)
    assert (found.high, found.p) == (math.inf, 1.0)


def test_several_runs_with_few_launches_tell_both() -> None:
    """The scatter between runs is known, however few launches each has."""
    before, after = ([series(times(seed, 20) * slow) for seed in range(5)] for slow in (1, 2))
    found = cut(before, after).difference(centre())
    assert found.p < 0.001
    assert 0.5 < found.low / found.baseline < 1 < found.high / found.baseline < 2


def test_runs_that_differ_by_themselves_need_several() -> None:
    """Three runs are 10 % apart: a fourth that is 15 % off is nothing new, though against one alone it would be."""
    old = [series(times(seed) * level) for seed, level in ((1, 0.9), (2, 1.0), (3, 1.1))]
    new = [series(times(4) * 1.15)]
    assert cut(old[1:2], new).difference(centre()).p < 0.01
    assert cut(old, new).difference(centre()).p > 0.05


def test_no_counts_in_common() -> None:
    """A run that was only ever below another cannot be compared with it."""
    assert equal_counts([series(times(1, 50))], [series(times(1, 50), start=100)]) is None


def test_counts_that_one_run_has_hardly_been_at_are_left_out() -> None:
    """A run that stepped back and came again has many launches at some counts; each batch has some of each run."""
    twice = Series(np.concatenate([np.arange(1, 101), np.arange(80, 101)]), np.ones(121))
    thin = Series(np.array([1.0, 2.0, 3.0, *np.arange(40, 101)]), np.ones(64))
    found = cut([twice], [thin])
    assert min(len(batch) for run in (*found.baseline, *found.others) for batch in run) >= 4


@given(st.lists(st.floats(0.01, 10), min_size=3, max_size=40), st.lists(st.floats(0.01, 10), min_size=3, max_size=40))
def test_cliffs_delta(one: list[float], two: list[float]) -> None:
    """By its definition: the share of pairs that the others win, less those that they lose."""
    found = EqualCounts([[np.array(one)]], [[np.array(two)]]).delta()
    expected = np.mean([np.sign(b - a) for a in one for b in two])
    assert found == pytest.approx(float(expected), abs=1e-12)


def test_centre_of_hodges_and_lehmann() -> None:
    """Of 1, 2, 4 and 16 in logarithms to base 2 (0, 1, 2, 4): the ten means of two have the median 1.75."""
    assert centre().of(np.array([1.0, 2.0, 4.0, 16.0])) == pytest.approx(1.75 * math.log(2))


@pytest.mark.parametrize("count", [20, 40, 400])
def test_a_tail_is_the_same_tail_in_small_batches(count: int) -> None:
    """The 95th percentile of batches of any size lies about the true one, so that unequal batches are no difference."""
    chance = np.random.default_rng(1)
    found = np.median([at_quantile(0.95).of(chance.exponential(size=count)) for _ in range(4000)])
    assert math.exp(float(found)) == pytest.approx(-math.log(0.05), rel=0.04)
