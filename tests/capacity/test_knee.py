"""Latency against count: a knee where there is one, and none where there is none."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.latencies import NOISES, Array, crowd, series

from density.capacity.knee import POINTS, Latency, latency
from density.statistics import LatencySeries

LENGTHS = (80, 150, 400, 1000)
LINES = 100
"""Of each kind of noise; there are ten."""


def straight(chance: np.random.Generator, length: int) -> Array:
    """A straight line: flat, or up to three times as long at the end."""
    return np.asarray(0.3 + 0.3 * chance.choice((0, 1, 2)) * np.arange(length) / length)


def bent(length: int, *, at: float, times: float = 15.0) -> Array:
    """0.3 s at first and 0.3 s more over the whole length, `times` as much from the knee on."""
    share = np.arange(length) / length
    return np.asarray(0.3 + 0.3 * share + 0.3 * (times - 1) * np.maximum(0, share - at))


@pytest.mark.parametrize("kind", NOISES)
def test_straight_lines_have_no_knee(kind: str) -> None:
    """Of 1,000 straight noisy lines at most one in twenty of any kind of noise seems bent, whatever the noise."""
    knees = 0
    for seed in range(LINES):
        chance = np.random.default_rng((seed, 1))
        length = LENGTHS[seed % len(LENGTHS)]
        found = latency(series(np.arange(length), NOISES[kind](chance, straight(chance, length))))
        knees += found.shape == "knee"
    assert knees <= LINES / 20


def test_what_the_tester_does_is_no_knee() -> None:
    """Launches in flight multiply the time to ready, and the tester changes them: that bends nothing."""
    knees = 0
    for seed in range(LINES):
        chance = np.random.default_rng((seed, 2))
        length = LENGTHS[seed % len(LENGTHS)]
        flying = crowd(chance, length)
        seconds = straight(chance, length) * np.maximum(1, flying / 4) * chance.lognormal(0, 0.2, length)
        knees += latency(series(np.arange(length), seconds, in_flight=flying)).shape == "knee"
    assert knees <= LINES / 20


def test_in_flight_that_settle_at_their_most_are_no_knee() -> None:
    """More and more in flight up to the tester's own bound looks exactly like a knee turned round, and is none."""
    chance = np.random.default_rng(4)
    counts = np.arange(1000.0)
    flying = np.maximum(4.0, 4.0 + np.floor((counts - 600) / 20))
    found = latency(series(counts, 0.1 * flying * chance.lognormal(0, 0.2, 1000), in_flight=flying))
    assert found.shape != "knee"


@pytest.mark.parametrize("kind", ["normal", "skewed", "no variance", "heavy tails", "wandering"])
def test_planted_knees_are_found(kind: str) -> None:
    """At least 95 of 100 are found within a tenth of their count, and the intervals hold nearly all of them."""
    near, held, tries = 0, 0, 100
    for seed in range(tries):
        chance = np.random.default_rng((seed, 3))
        length, at = 1000, chance.uniform(0.2, 0.85)
        found = latency(series(np.arange(length), NOISES[kind](chance, bent(length, at=at))))
        if found.count is not None and found.low is not None and found.high is not None:
            near += abs(found.count - at * length) <= 0.1 * at * length
            held += found.low <= at * length <= found.high
    assert near >= 0.95 * tries
    assert held >= 0.85 * tries


def test_the_slopes_are_seconds_an_instance() -> None:
    """0.3 ms before the knee and 4.5 ms after it, where the launches in flight are the same throughout."""
    chance = np.random.default_rng(5)
    found = latency(series(np.arange(1000), bent(1000, at=0.6) + 0.02 * chance.normal(size=1000)))
    assert found.shape == "knee"
    assert found.count == pytest.approx(600, rel=0.05)
    assert found.before_seconds == pytest.approx(0.0003, rel=0.2)
    assert found.after_seconds == pytest.approx(0.0045, rel=0.1)
    assert (found.samples, found.up_to, found.reason) == (1000, 999, "")


def test_an_exact_hinge_is_found_exactly() -> None:
    """Without any noise the interval is no wider than the points are apart."""
    found = latency(series(np.arange(400), bent(400, at=0.5)))
    assert found.shape == "knee"
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 200 <= found.high
    assert found.high - found.low <= 30


def test_a_smooth_curve_is_called_so() -> None:
    """A parabola grows faster and faster, but at no count more suddenly than at any other."""
    shapes = Counter[str]()
    for seed in range(40):
        chance = np.random.default_rng((seed, 6))
        share = np.arange(1000) / 1000
        shapes[latency(series(np.arange(1000), (0.3 + 0.9 * share**2) * chance.lognormal(0, 0.2, 1000))).shape] += 1
    assert shapes["curve"] >= 36


@pytest.mark.parametrize("turn", [-1.0, 0.0])
def test_what_gets_faster_or_levels_off_has_no_knee(turn: float) -> None:
    """A first launch that is slow, or a rise that ends, bends as well, but not to where it hurts."""
    chance = np.random.default_rng(7)
    share = np.arange(600) / 600
    seconds = 1.0 - 0.8 * np.minimum(share, 0.5) if turn else 0.3 + 0.8 * np.minimum(share, 0.5)
    assert latency(series(np.arange(600), seconds + 0.02 * chance.normal(size=600))).shape != "knee"


def test_a_bend_that_matters_to_nobody_is_no_knee() -> None:
    """A thousandth of the latency more by the end is beyond all noise here, and beyond nobody's patience."""
    chance = np.random.default_rng(8)
    share = np.arange(1000) / 1000
    seconds = 1 + 0.02 * np.maximum(0, share - 0.5) + 1e-4 * chance.normal(size=1000)
    found = latency(series(np.arange(1000), seconds))
    assert found.shape == "line"
    assert "less than 10%" in found.reason


def test_the_same_latencies_give_the_same_answer() -> None:
    """The bootstrap's signs are the same each time, so a replayed run tells the same."""
    chance = np.random.default_rng(9)
    held = series(np.arange(300), NOISES["skewed"](chance, bent(300, at=0.7)))
    assert latency(held) == latency(held)


@pytest.mark.parametrize("length", [0, 1, 2, 59])
def test_too_few_latencies_say_so(length: int) -> None:
    """With fewer than twelve points there is no answer, and the reason has their number."""
    found = latency(series(np.arange(length), np.ones(length)))
    assert found.shape == "unknown"
    assert found.reason == f"too few latencies: they make {length // 5} points, and it takes {POINTS}"


def test_the_same_latency_at_every_count_is_flat() -> None:
    """Nothing is divided by a scatter of nothing."""
    assert latency(series(np.arange(200), np.full(200, 0.25))).shape == "flat"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40) | st.integers(0, 10**6),
            st.integers(0, 40),
            st.sampled_from((0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e-300, 1e9)) | st.floats(0, 100),
        ),
        max_size=250,
    )
)
def test_any_series_gets_an_answer(samples: list[tuple[int, int, float]]) -> None:
    """Degenerate counts, latencies that are no numbers, jumps of all sizes: an answer without infinities, always."""
    held = LatencySeries()
    for sample in samples:
        held.add(*sample)
    found = latency(held)
    assert found.shape in {"unknown", "flat", "line", "curve", "knee"}
    assert all(value is None or math.isfinite(value) for value in _numbers(found))
    assert (found.count is not None) == (found.shape == "knee") == (found.reason == "")


def _numbers(found: Latency) -> tuple[float | None, ...]:
    return found.p, found.count, found.low, found.high, found.before_seconds, found.after_seconds
