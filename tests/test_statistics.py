"""Small statistics."""

import math

import pytest

from density.statistics import MOST_SAMPLES, LatencySeries, floored


@pytest.mark.parametrize(
    ("value", "whole"), [(2.9, 2), (-0.5, -1), (math.nan, None), (math.inf, None), (-math.inf, None)]
)
def test_what_has_no_whole_number_is_unknown(value: float, whole: int | None) -> None:
    """Neither an infinite count nor one that is no number ends a report."""
    assert floored(value, unknown=None) == whole


def test_a_long_series_is_thinned_evenly() -> None:
    """Ten times as many as are kept: the whole run is covered, at steps that are all alike."""
    series = LatencySeries()
    for count in range(10 * MOST_SAMPLES):
        series.add(count, 1, 0.5)
    assert MOST_SAMPLES / 2 <= len(series.seconds) < MOST_SAMPLES
    steps = {int(after - before) for before, after in zip(series.counts, series.counts[1:], strict=False)}
    assert len(steps) == 1
    assert series.counts[0] <= steps.pop()
    assert len(series.counts) == len(series.in_flight) == len(series.seconds)
