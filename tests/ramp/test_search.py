"""The search for the exact count that keeps every objective."""

from hypothesis import given
from hypothesis import strategies as st

from density.capacity.capacities import CLOSE
from density.ramp.search import FRESH, Bisection


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_it_ends_at_the_last_count_that_keeps_the_objectives(truth: int, beyond: int) -> None:
    """Whatever the truth is, the search ends within 1 % or one instance below it, in about log2 steps."""
    known, steps = Bisection(0, truth + beyond), 0
    while step := known.next():
        steps += 1
        known = known.after(step.target, kept=step.target <= truth)
    assert truth - max(1, CLOSE * truth) <= known.kept <= truth
    assert steps <= 14


@given(st.integers(0, 5000), st.integers(2, 5000))
def test_each_count_is_judged_by_enough_launches(kept: int, more: int) -> None:
    """It goes back far enough that FRESH launches lead up to the target, or to an empty host."""
    step = Bisection(kept, kept + more).next()
    if step:
        assert kept < step.target < kept + more
        assert step.target - step.back >= FRESH or step.back == 0
