"""A few of the random hosts that `make attribution` judges by the thousand."""

import pytest
from support.hosts import judge_host


@pytest.mark.parametrize("seed", range(30))
def test_the_verdict_is_right_and_the_forecast_early(seed: int) -> None:
    """With noise, leaks and late memory: the right ceiling, within 3 % at a tenth of the ramp, no reserve touched."""
    judged = judge_host(seed)
    assert judged.right
    assert abs(judged.error) <= 0.03
    assert judged.overshoot == 0
    assert judged.reached >= 0.98
