"""A difference between runs: known answers, and what holds for any."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from density.capacity.compare.difference import Measured, difference, holm, of_counts

values = st.floats(1, 1e6)
samples = st.lists(st.integers(1, 10_000).map(float), min_size=2, max_size=8).filter(lambda found: len(set(found)) > 1)
"""Of which Student's t is not degenerate."""
ps = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def exact(found: list[float]) -> list[Measured]:
    """Runs whose own errors are nothing."""
    return [Measured(value, 0.0) for value in found]


def test_two_runs_are_told_apart_by_their_own_errors() -> None:
    """100 ± 1 and 105 ± 1: 5, with an error of √2, so 2.2 to 7.8 at 95 %, by chance in 4 of 10,000 cases."""
    found = difference([Measured(100, 1)], [Measured(105, 1)])
    assert found.change == 5
    assert (found.low, found.high) == pytest.approx((5 - 1.96 * 2**0.5, 5 + 1.96 * 2**0.5), abs=1e-3)
    assert found.p == pytest.approx(0.000407, abs=1e-6)
    assert found.share(found.change) == 0.05


@given(samples, samples)
def test_groups_are_compared_as_student_would(before: list[float], after: list[float]) -> None:
    """With several runs in each group it is the two-sample t of their values."""
    expected = stats.ttest_ind(after, before)
    found = difference(exact(before), exact(after))
    assume(abs(found.change) > 1e-3)
    assert found.p == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)
    interval = expected.confidence_interval()
    assert (found.low, found.high) == pytest.approx((float(interval.low), float(interval.high)), rel=1e-6, abs=1e-6)


@given(samples, samples)
def test_two_runs_that_measured_means_are_compared_as_welch_would(before: list[float], after: list[float]) -> None:
    """An error that was found with few degrees of freedom counts as such."""
    expected = stats.ttest_ind(after, before, equal_var=False)
    found = difference(*([_mean(group)] for group in (before, after)))
    assume(abs(found.change) > 1e-3)
    assert found.p == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)


def _mean(group: list[float]) -> Measured:
    return Measured(sum(group) / len(group), float(stats.sem(group)), len(group) - 1)


def test_one_new_run_is_held_against_the_scatter_of_the_old_ones() -> None:
    """Old ones at 98, 100, 102 (s = 2): 110 is 10 away, with an error of 2 √(1 + 1/3) and 2 degrees of freedom."""
    found = difference(exact([98, 100, 102]), exact([110]))
    assert found.p == pytest.approx(2 * float(stats.t.sf(10 / (2 * (4 / 3) ** 0.5), 2)))
    assert found.p == pytest.approx(0.0495, abs=1e-4)


def test_scatter_that_is_small_by_luck_does_not_count() -> None:
    """Two runs that came out alike are no surer than each run is of itself."""
    alone = difference([Measured(100, 1)], [Measured(103, 1)])
    lucky = difference([Measured(100, 1), Measured(100.001, 1)], [Measured(103, 1)])
    assert lucky.p > 0.01
    assert lucky.high - lucky.low > 0.8 * (alone.high - alone.low)


@pytest.mark.parametrize("others", [[200.0], [200.0, 201.0, 202.0]])
def test_a_lower_bound_is_no_difference(others: list[float]) -> None:
    """Where a run might have gone on, nothing is claimed, whatever other runs say; the change is told all the same."""
    found = difference([Measured(100, math.inf, 1)], exact(others))
    assert found.change >= 100
    assert (found.low, found.high, found.p) == (-math.inf, math.inf, 1.0)


def test_what_was_counted_exactly_needs_no_statistics() -> None:
    """12 tasks and 13 tasks differ, for sure; 12 and 12 that were rounded differently do not."""
    assert difference(exact([12]), exact([13])).p == 0
    same = difference(exact([12]), exact([12.0000001]))
    assert same.p == 1
    assert same.low <= 0 <= same.high or same.high == pytest.approx(0, abs=1e-6)


@given(values, values, st.floats(0.1, 1e3), st.floats(0.1, 1e3))
def test_it_is_the_same_the_other_way_round(one: float, two: float, first: float, second: float) -> None:
    """Which run is the baseline changes the sign alone."""
    there = difference([Measured(one, first)], [Measured(two, second)])
    back = difference([Measured(two, second)], [Measured(one, first)])
    assert back.change == -there.change
    assert back.p == pytest.approx(there.p)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


@given(values, values, st.floats(0.01, 1), st.floats(0.01, 1))
def test_no_count_falls_by_more_than_all_of_it(one: float, two: float, first: float, second: float) -> None:
    """However large the errors are, the interval ends above -100 % and holds what was measured."""
    found = of_counts([Measured(one, first * one)], [Measured(two, second * two)])
    assert (found.baseline, found.other) == (one, two)
    assert -one <= found.low <= found.change + 1e-6 * one
    assert found.high >= found.change - 1e-6 * one


def test_counts_are_compared_by_their_ratio() -> None:
    """2,868 that may be 9 % off, and 135 that are exact: 95.3 % fewer, between 94.8 and 95.7 %."""
    found = of_counts([Measured(2868, 0.09 * 2868 / 1.96)], [Measured(135, 0.0)])
    bounds = [found.share(bound) for bound in (found.low, found.change, found.high)]
    assert bounds == pytest.approx([-0.9570, -0.9529, -0.9485], abs=1e-4)
    assert of_counts(exact([45, 45]), exact([60])).baseline == 45


@pytest.mark.parametrize("unsure", [Measured(0, 1), Measured(100, math.inf, 1)])
def test_a_count_of_which_there_is_no_ratio(unsure: Measured) -> None:
    """None at all, or a lower bound: as any other metric."""
    assert of_counts([unsure], exact([12])) == difference([unsure], exact([12]))


def test_of_nothing_there_is_no_share() -> None:
    """Percent of 0 say nothing, and those of a bound that is not known neither."""
    found = difference([Measured(0, 1)], [Measured(5, 1)])
    assert found.share(found.change) is None
    assert difference([Measured(1, 1)], [Measured(5, 1)]).share(math.inf) is None


def test_holms_correction() -> None:
    """0.005 times 4, 0.01 times 3, 0.03 times 2, and never less than the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(ps, st.floats(0.001, 0.5))
def test_holm_rejects_step_by_step(found: list[float], alpha: float) -> None:
    """What is below alpha afterwards is what his procedure rejects: from the smallest p on, until one is too large."""
    rejected = set()
    for rank, index in enumerate(sorted(range(len(found)), key=found.__getitem__)):
        if (len(found) - rank) * found[index] >= alpha:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(found)) if p < alpha} == rejected
