"""When a launch was due, and how many at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.ramp.concurrency import MOST, Concurrency
from density.ramp.pace import WINDOW, Pace


def test_at_a_steady_pace_launches_are_due_when_their_place_comes_free() -> None:
    """An engine that keeps its pace adds nothing to any clock."""
    pace = Pace()
    times = [0.1 * index for index in range(5 * WINDOW)]
    assert all(abs(now - pace.due(now)) < 1e-9 for now in times)


def test_a_stall_shows_on_every_launch_that_was_due_during_it() -> None:
    """Ten seconds without a free place make the launches behind it ten seconds late, not just the next one."""
    pace = Pace()
    for index in range(WINDOW):
        pace.due(0.1 * index)
    resumed = 0.1 * (WINDOW - 1) + 10
    late = [resumed + 0.1 * index - pace.due(resumed + 0.1 * index) for index in range(WINDOW - 1)]
    assert min(late) > 9.5


def test_a_pause_between_waves_is_no_stall() -> None:
    """Nothing is due while nobody launches."""
    pace = Pace()
    for index in range(2 * WINDOW):
        pace.due(0.1 * index)
    pace.pause()
    assert pace.due(1000.0) == 1000.0


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_no_launch_is_due_after_its_place_came_free(gaps: list[float]) -> None:
    """Whatever the engine does, a clock never starts late."""
    pace, now = Pace(), 0.0
    for gap in gaps:
        now += gap
        assert pace.due(now) <= now


def reached(best: int, launches: int) -> float:
    """Share of the best rate that is reached at an engine whose rate grows up to `best` at once, then falls."""
    concurrency, now = Concurrency(), 0.0
    for _ in range(launches):
        at_once = concurrency.limit
        now += 1 / max(0.5, min(at_once, best) - max(0, at_once - best) * 0.2)
        concurrency.completed(now)
    return launches / now / best


@pytest.mark.parametrize("best", [2, 6, 12, 24])
def test_it_finds_how_many_an_engine_can_take(best: int) -> None:
    """Engines that are fastest with 2 to 24 at once reach four fifths of their best rate over 3,000 launches."""
    assert reached(best, 3000) > 0.8


def test_a_profiles_own_number_is_kept() -> None:
    """`concurrency = 3` means three."""
    concurrency = Concurrency(fixed=3)
    for index in range(100):
        concurrency.completed(index / 10)
    assert concurrency.limit == 3


def test_easing_halves_down_to_one_and_stays() -> None:
    """After launches ran into each other, the number at once never grows again."""
    concurrency = Concurrency()
    limits = [concurrency.limit]
    while concurrency.ease():
        limits.append(concurrency.limit)
    for index in range(200):
        concurrency.completed(index / 10)
    assert limits == [8, 4, 2, 1]
    assert concurrency.limit == 1


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=500))
def test_there_is_always_at_least_one_at_once_and_never_too_many(gaps: list[float]) -> None:
    """Whatever the engine does."""
    concurrency, now = Concurrency(), 0.0
    for gap in gaps:
        now += gap
        concurrency.completed(now)
        assert 1 <= concurrency.limit <= MOST
