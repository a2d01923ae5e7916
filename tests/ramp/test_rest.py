"""When a host has come to rest."""

import math
import random

from density.ramp.rest import WINDOW, Rest

KEY = ("memory.available", "")


def settle(rest: Rest, readings: list[float]) -> int:
    """How many of these readings it takes to rest."""
    for count in range(1, len(readings) + 1):
        uses = [{KEY: reading} for reading in readings[:count]]
        if not rest.moving(uses, [KEY], period=1.0):
            rest.rested(uses[-WINDOW:])
            return count
    return len(readings) + 1


def test_a_still_host_rests_as_soon_as_it_has_been_looked_at() -> None:
    """Nothing moves: the fewest samples are enough."""
    assert settle(Rest(), [100.0] * 10) == WINDOW


def test_what_comes_late_is_waited_for() -> None:
    """After a wave of 1,000 of which 300 come with a time constant of 5 s, less than 20 are still to come."""
    rest = Rest()
    settle(rest, [0.0] * 5)
    readings = [1000 - 300 * math.exp(-second / 5) for second in range(60)]
    assert 1000 - readings[settle(rest, readings) - 1] < 20


def test_noise_that_matters_not_is_no_movement() -> None:
    """Readings that scatter by a thousandth of what the run has added are at rest after a few samples."""
    chance = random.Random(1)
    rest = Rest()
    settle(rest, [0.0] * 5)
    waited = [settle(rest, [10_000 + chance.gauss(0, 10) for _ in range(60)]) for _ in range(20)]
    assert max(waited) <= WINDOW + 4


def test_noise_that_could_hide_a_trend_asks_for_more_samples() -> None:
    """Readings that scatter by a hundredth of what the run has added take longer, but not for ever."""
    chance = random.Random(1)
    rest = Rest()
    settle(rest, [0.0] * 5)
    waited = [settle(rest, [1_000 + chance.gauss(0, 10) for _ in range(60)]) for _ in range(20)]
    assert WINDOW + 2 < sorted(waited)[10] < 60
