"""The table that says whether odds are what they claim to be."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reliability import ENOUGH, expected_calibration_error, miscalibrations, reliability

from density.ceilings.calibration import KNOTS, calibrated, mapped


def test_claims_that_are_right_as_often_as_they_say_have_no_gap() -> None:
    """Nine of ten at 90 %, one of two at 50 %."""
    pairs = [(0.9, place < 9) for place in range(10)] + [(0.5, place < 1) for place in range(2)]
    bins = reliability(pairs)
    assert [(each.count, each.claimed, each.right) for each in bins] == [
        (2, 0.5, 0.5),
        (10, pytest.approx(0.9), 0.9),
    ]
    assert expected_calibration_error(bins) == pytest.approx(0, abs=1e-9)


def test_a_claim_that_is_too_sure_shows_by_its_share_of_all() -> None:
    """Ten of twenty claims are said with 99 % and right half of the time: a gap of 49 points on half of all."""
    pairs = [(0.99, place < 5) for place in range(10)] + [(0.6, place < 6) for place in range(10)]
    assert expected_calibration_error(reliability(pairs)) == pytest.approx(0.245)


def test_every_claim_is_in_one_bin_and_certainty_in_the_last() -> None:
    """Also 0 and 1, which are at the ends."""
    chance = random.Random(5)
    pairs = [(0.0, False), (1.0, True), *((chance.random(), True) for _ in range(500))]
    bins = reliability(pairs)
    assert sum(each.count for each in bins) == len(pairs)
    assert bins[-1].high == 1
    assert not reliability([])
    assert expected_calibration_error([]) == 0


def test_a_gap_is_wrong_from_the_number_of_claims_that_shows_it() -> None:
    """A claim of 60 % that is right at four of five is too low; of a few that may be chance."""
    few = [(0.6, place % 5 > 0) for place in range(ENOUGH - 5)]
    assert not list(miscalibrations(few))
    assert len(list(miscalibrations([*few, *few]))) == 1


@given(st.lists(st.floats(0.001, 1000), min_size=2, max_size=9))
def test_calibrated_odds_add_up_and_keep_their_order(weights: list[float]) -> None:
    """Whatever the shares: the same suspect is first, none changes place, and together they are certain."""
    shares = {place: weight / sum(weights) for place, weight in enumerate(weights)}
    odds = calibrated(shares)
    assert sum(odds.values()) == pytest.approx(1)
    assert all(odds[one] >= odds[other] - 1e-12 for one in shares for other in shares if shares[one] > shares[other])


def test_no_odds_are_certain() -> None:
    """What the weights leave no doubt about was still wrong now and then."""
    assert mapped(1.0) < 0.99
    assert calibrated({"one": 1.0}) == {"one": mapped(1.0)}
    assert all(before <= after for (_, before), (_, after) in pairwise(KNOTS))
