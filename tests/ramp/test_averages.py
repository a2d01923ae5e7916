"""Averages over a settling time: rates by time, levels by sample."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.ramp.averages import Timed, average


def test_a_rate_is_the_growth_of_its_counter_over_the_whole_time() -> None:
    """Idle for nine of ten seconds is 10 % busy, although two of three samples saw a busy moment."""
    cpu = [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (9.5, 0.5, 9.5), (10.0, 1.0, 10.0)]
    shares = [0.0, 1.0, 0.0, 1.0]
    samples = [
        Timed(at, {"cpu.busy_ratio": share, "cpu.busy_seconds": busy, "cpu.total_seconds": total})
        for (at, busy, total), share in zip(cpu, shares, strict=True)
    ]
    assert average(samples)["cpu.busy_ratio"] == pytest.approx(0.1)


def test_pressure_and_daemons_are_rates_too() -> None:
    """Their counters are divided by the time that passed."""
    first = {"pressure.io.some_ratio": 0.9, "pressure.io.some_total_seconds": 7.0}
    second = {"pressure.io.some_ratio": 0.9, "pressure.io.some_total_seconds": 8.0}
    first |= {"daemon.dockerd.busy_cpus": 3.0, "daemon.dockerd.cpu_seconds": 10.0}
    second |= {"daemon.dockerd.busy_cpus": 3.0, "daemon.dockerd.cpu_seconds": 16.0}
    found = average([Timed(1.0, first), Timed(5.0, second)])
    assert found["pressure.io.some_ratio"] == pytest.approx(0.25)
    assert found["daemon.dockerd.busy_cpus"] == pytest.approx(1.5)


def test_a_rate_without_a_counter_is_weighted_by_time() -> None:
    """A sample tells of the time since the one before it."""
    samples = [Timed(at, {"cpu.busy_ratio": share}) for at, share in ((0.0, 0.3), (1.0, 1.0), (10.0, 0.0))]
    assert average(samples)["cpu.busy_ratio"] == pytest.approx(0.1)


def test_a_level_is_the_mean_of_its_samples_and_what_one_lacks_is_left_out() -> None:
    """Memory does not count more for having been read late; the kernel's own averages are levels."""
    samples = [
        Timed(0.0, {"memory.available_bytes": 10.0, "pressure.cpu.some_avg10_ratio": 0.2, "x.count": 1.0}),
        Timed(9.0, {"memory.available_bytes": 20.0, "pressure.cpu.some_avg10_ratio": 0.4}),
    ]
    assert average(samples) == pytest.approx({"memory.available_bytes": 15.0, "pressure.cpu.some_avg10_ratio": 0.3})


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5)), min_size=1, max_size=6))
def test_a_share_stays_among_its_samples(steps: list[tuple[float, float]]) -> None:
    """Whatever the spacing is, an average of shares is no less than the least and no more than the largest."""
    at, samples = 0.0, []
    for share, seconds in steps:
        at += seconds
        samples.append(Timed(at, {"cpu.busy_ratio": share}))
    found = average(samples)["cpu.busy_ratio"]
    assert min(share for share, _ in steps) - 1e-9 <= found <= max(share for share, _ in steps) + 1e-9
