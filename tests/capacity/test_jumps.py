"""Points that something else than the instances moved."""

import numpy as np
import pytest

from density.capacity.jumps import dearest, moved

COUNTS = np.array([[0.0], [4.0], [12.0], [28.0], [60.0], [124.0]])


def line(noise: float, *, seed: int = 0) -> np.ndarray:
    """300 tasks, and 13 for each instance."""
    return np.asarray(300 + 13 * COUNTS[:, 0] + np.random.default_rng(seed).normal(0, noise, len(COUNTS)))


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("noise", [0.0, 3.0, 30.0])
def test_noise_is_no_jump(noise: float, seed: int) -> None:
    """Every point stays, however much they scatter."""
    assert moved(COUNTS, line(noise, seed=seed)) == ((), None)


@pytest.mark.parametrize("at", [1, 2])
def test_what_lies_before_a_step_belongs_to_another_host(at: int) -> None:
    """900 threads that something else started stay: only the points since then are on the line."""
    use = line(1.0)
    use[at:] += 900
    mask = moved(COUNTS, use).mask
    assert mask is not None
    assert mask.tolist() == [False] * at + [True] * (len(use) - at)


def test_a_load_that_is_gone_at_the_next_rest_costs_one_point() -> None:
    """A backup that ran while one rest was read."""
    use = line(1.0)
    use[2] += 900
    mask = moved(COUNTS, use).mask
    assert mask is not None
    assert mask.tolist() == [True, True, False, True, True, True]


def test_a_curve_is_no_jump() -> None:
    """Costs that grow with the count, and a leak that grows with the time, are not cut in two."""
    counts = np.arange(0.0, 400.0, 20.0)[:, None]
    assert moved(counts, 300 + 13 * counts[:, 0] + 0.02 * counts[:, 0] ** 2) == ((), None)
    assert moved(counts, 300 + 13 * counts[:, 0] + np.sqrt(counts[:, 0])) == ((), None)


def test_a_jump_of_the_last_point_is_not_judged_yet() -> None:
    """Whether it stays shows in the next one."""
    use = line(1.0)
    use[-1] += 5000
    assert moved(COUNTS, use).mask is None


def test_the_dearest_wave_is_the_most_that_an_instance_can_have_taken() -> None:
    """900 threads beside a wave of 4, 13 each otherwise; what shrinks costs nothing."""
    use = line(0.0)
    use[1:] += 900
    assert dearest(COUNTS, use) == 13 + 900 / 4
    assert dearest(COUNTS, -use) == 0
    assert dearest(COUNTS[:1], use[:1]) == 0


def test_a_step_is_seen_also_after_many_waves() -> None:
    """Doubling waves stretch the line, and rounding errors of large counts of bytes hide no step."""
    counts = np.array([0.0, 2.0, 4.0, 4.0, 5.0, 37.0, 165.0, 421.0, 933.0])[:, None]
    use = 2.0 * 2**30 + 4464577.8 * counts[:, 0]
    use[1:] += 10 * 2**30
    for points in range(5, len(use) + 1):
        mask = moved(counts[:points], use[:points]).mask
        assert mask is not None
        assert mask.tolist() == [False] + [True] * (points - 1)


def test_two_jumps_that_hide_each_other_are_seen_at_once() -> None:
    """A load that came as the second rest was read, and went during a wave that took more than it."""
    counts = np.array([0.0, 3.0, 4.0, 4.0, 7.0, 14.0, 34.0, 162.0, 418.0, 438.0, 460.0])[:, None]
    use = 2144.0 + 41 * counts[:, 0] + np.random.default_rng(1).normal(0, 3, len(counts))
    use[1:8] += 3000
    use[1] += 2300
    mask = moved(counts, use).mask
    assert mask is not None
    assert mask.tolist() == [True] + [False] * 7 + [True] * 3


def test_a_wave_beside_a_jump_is_not_the_dearest() -> None:
    """Nor is one with several jumps; at the last point nobody knows yet."""
    use = line(0.0)
    use[1:] += 900
    assert dearest(COUNTS, use, [(1, 6)]) == 13
    last = line(0.0)
    last[-1] += 640
    assert dearest(COUNTS, last, [(5, 6)]) == 13 + 640 / 64
