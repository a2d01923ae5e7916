"""A few of the random hosts that `make attribution` judges by the thousand."""

import pytest
from support.hosts import failing_host, judge_host
from support.launches import needed


@pytest.mark.parametrize("seed", range(30))
def test_the_verdict_is_right_and_the_forecast_early(seed: int) -> None:
    """With noise, leaks and late memory: the right ceiling, within 3 % at a tenth of the ramp, no reserve touched."""
    judged = judge_host(seed)
    assert judged.right
    assert abs(judged.error) <= 0.03
    assert judged.overshoot == 0
    assert judged.reached >= 0.98


@pytest.mark.parametrize("seed", range(4))
def test_failures_at_half_the_objective_end_no_ramp(seed: int) -> None:
    """With one launch in 200 failing by chance and one in 100 allowed, the ramp ends at the host's own ceiling."""
    ended = failing_host(seed, allowed=0.01, share=0.005)
    assert ended.ceiling != "slo.failures"
    assert ended.reached >= 0.9


@pytest.mark.parametrize("seed", range(6))
def test_ten_times_the_objective_ends_a_ramp_soon(seed: int) -> None:
    """One launch in ten fails and one in 100 may: found within twice what one look needs, to the end of the wave."""
    ended = failing_host(seed, allowed=0.01, share=0.1)
    assert ended.ceiling == "slo.failures"
    assert ended.found_within(2 * needed(0.1, 0.01))
