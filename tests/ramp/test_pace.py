"""When a launch was due, and how many at once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.ramp.concurrency import MOST, RECOVER, Concurrency
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


def test_a_reduction_halves_down_to_one() -> None:
    """Below one there is nothing to reduce."""
    concurrency = Concurrency()
    limits = [concurrency.limit]
    while concurrency.ease():
        limits.append(concurrency.limit)
    assert limits == [8, 4, 2, 1]


@pytest.mark.parametrize("fixed", [0, 8])
def test_one_reduction_is_made_up_for_one_by_one(fixed: int) -> None:
    """After one late moment it is four at once, then five after RECOVER more launches, and eight again in the end."""
    concurrency = Concurrency(fixed=fixed)
    assert concurrency.ease()
    seen, now = [concurrency.limit], 0.0
    for _ in range(5 * RECOVER):
        now += 1 / concurrency.limit  # twice as fast with twice as many at once
        concurrency.completed(now)
        seen.append(concurrency.limit)
    assert max(seen[:RECOVER]) == 4
    assert max(later - before for before, later in pairwise(seen)) <= 1
    assert seen[-1] >= 8
    assert fixed in {0, seen[-1]}


def test_each_further_reduction_is_made_up_for_more_slowly() -> None:
    """An engine that cannot take eight at once is tried with more after 24 launches, then 48, then 96."""
    concurrency = Concurrency(fixed=8)
    waited = []
    for _ in range(3):
        assert concurrency.ease()
        before, launches = concurrency.limit, 0
        while concurrency.limit == before:
            concurrency.completed(0.0)
            launches += 1
        waited.append(launches)
    assert waited == [RECOVER, 2 * RECOVER, 4 * RECOVER]


def recovered(concurrency: Concurrency, *, most: int) -> int:
    """Launches without another reduction until nothing is reduced any more."""
    launches = 0
    while concurrency.cap and launches < most:
        concurrency.completed(0.0)
        launches += 1
    return launches


def test_what_was_reduced_long_ago_is_made_up_for_as_fast_as_a_first_reduction() -> None:
    """Five moments bring 32 down to 1; once steps go well, each takes half as many launches as the one before."""
    concurrency = Concurrency(fixed=MOST)
    for _ in range(5):
        assert concurrency.ease()
    assert recovered(concurrency, most=10**5) <= 80 * RECOVER
    assert concurrency.limit == MOST
    assert concurrency.ease()
    assert recovered(concurrency, most=10**5) == MOST // 2 * RECOVER


def test_an_engine_that_never_takes_more_is_tried_now_and_then() -> None:
    """However often it is reduced, the launches before the next try are bounded."""
    concurrency = Concurrency(fixed=2)
    for _ in range(50):
        assert concurrency.ease()
        launches = 0
        while concurrency.limit == 1:
            concurrency.completed(0.0)
            launches += 1
        assert launches <= 16 * RECOVER


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=500))
def test_there_is_always_at_least_one_at_once_and_never_too_many(gaps: list[float]) -> None:
    """Whatever the engine does."""
    concurrency, now = Concurrency(), 0.0
    for gap in gaps:
        now += gap
        concurrency.completed(now)
        assert 1 <= concurrency.limit <= MOST
