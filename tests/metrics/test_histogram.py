"""Histograms that are kept as they grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.metrics.histogram import Histogram


@given(st.lists(st.lists(st.floats(0, 200))))
def test_a_histogram_kept_as_it_grows_is_the_histogram_of_all(parts: list[list[float]]) -> None:
    """Catching up in steps counts each value once, in the bucket that Prometheus expects."""
    bounds = (0.5, 1.0, 100.0)
    histogram, values = Histogram(bounds), list[float]()
    for part in parts:
        values += part
        histogram.catch_up(values)
    counted = histogram.distribution()
    assert counted.cumulative == (*(sum(v <= bound for v in values) for bound in bounds), len(values))
    assert counted.total == pytest.approx(sum(values))
