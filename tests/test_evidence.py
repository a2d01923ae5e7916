"""When an objective is violated, met, or not yet known."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.launches import needed

from density.evidence import ENOUGH, Evidence, Judged, Times, Trials, evidence_for

RAMPS = {
    "doubled": [4, *(4 * 2**n for n in range(1, 11))],
    "half as many more": [4, *(round(4 * 1.5**n) for n in range(1, 17))],
    "ten each": [4, *[10] * 60],
}
"""Launches of each wave."""


def first_violated(waves: Sequence[int], share: float, allowed: float, chances: np.random.Generator) -> int:
    """Launches after which a ramp with this true share of failures would end by the objective; 0: it does not."""
    trials = Trials()
    for size in waves:
        trials.total += size
        trials.bads[-1] += int(chances.binomial(size, share))
        finding = trials.judge(allowed)
        assert finding is not None
        if finding.judged is Judged.VIOLATED:
            return trials.total
        trials.look()
    return 0


def ends(waves: Sequence[int], share: float, allowed: float, *, runs: int) -> list[int]:
    """The same of many runs."""
    chances = np.random.default_rng(1)
    return [first_violated(waves, share, allowed, chances) for _ in range(runs)]


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("allowed", [0.01, 0.05])
def test_half_of_what_is_allowed_ends_hardly_a_ramp(ramp: str, allowed: float) -> None:
    """At most 1 % of the ramps may end by chance where half as many launches fail as may; it is a fifth of that."""
    found = ends(RAMPS[ramp], allowed / 2, allowed, runs=600)
    assert sum(map(bool, found)) <= 0.002 * len(found)


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("allowed", [0.01, 0.05])
def test_just_what_is_allowed_ends_one_ramp_in_twenty_at_most(ramp: str, allowed: float) -> None:
    """That is the confidence with regard to all looks of a ramp: 95 %."""
    found = ends(RAMPS[ramp], allowed, allowed, runs=400)
    assert sum(map(bool, found)) <= 0.05 * len(found)


@pytest.mark.parametrize(("allowed", "times"), [(0.01, 5), (0.01, 10), (0.05, 3), (0.05, 6)])
@pytest.mark.parametrize("ramp", RAMPS)
def test_a_true_violation_is_found_within_twice_what_the_bound_needs(ramp: str, allowed: float, times: int) -> None:
    """In four of five runs, by the end of the wave in which that many are launched."""
    waves, twice = RAMPS[ramp], 2 * needed(allowed * times, allowed)
    until = next(sum(waves[:n]) for n in range(len(waves)) if sum(waves[:n]) >= twice)
    found = ends(waves, allowed * times, allowed, runs=200)
    assert sum(0 < launches <= until for launches in found) >= 0.8 * len(found)


def test_a_share_that_grows_late_is_found_among_the_last_launches() -> None:
    """A thousand launches without a failure do not hide that every fifth of the last hundred failed."""
    trials = Trials()
    for _ in range(100):
        for _ in range(10):
            trials.add(bad=False)
        trials.look()
    for number in range(100):
        trials.add(bad=number % 5 == 0)
    finding = trials.judge(0.05)
    assert finding is not None
    assert finding.judged is Judged.VIOLATED
    assert finding.window.start >= 900


@given(st.lists(st.lists(st.booleans(), max_size=30), max_size=20))
def test_windows_are_the_last_waves_and_all_of_them(waves: list[list[bool]]) -> None:
    """Each has as many bad ones as its trials have, each is at least twice the one before, but for all of them."""
    trials, everything = Trials(), [bad for wave in waves for bad in wave]
    for wave in waves:
        for bad in wave:
            trials.add(bad=bad)
        trials.look()
    windows = list(trials.windows())
    assert [(each.total, each.bad) for each in windows] == [
        (len(everything) - each.start, sum(everything[each.start :])) for each in windows
    ]
    assert all(later.total >= 2 * each.total for each, later in pairwise(windows[:-1]))
    assert all(each.total >= ENOUGH for each in windows[:-1])
    assert [each.start for each in windows[-1:]] == [0] * bool(everything)


def judged(times: Times, *, least: int = 1) -> Judged:
    """What these times say."""
    return Judged(round(times.measures("x", "pings", least=least)["x.judged_level"]))


def times(limit: float, *seconds: float, q: float = 0.95) -> Times:
    """Times of one wave."""
    found = Times(q, limit)
    found.extend(seconds)
    return found


def test_one_ping_decides_no_percentile() -> None:
    """One of fifty takes long: that is no violated p99, and no proof that it is met."""
    assert judged(times(0.05, *[0.001] * 49, 0.9, q=0.99)) is Judged.PLAUSIBLE
    assert judged(times(0.05, *[0.001] * 45, *[0.9] * 5, q=0.99)) is Judged.VIOLATED


def test_few_times_are_enough_where_none_is_near_the_limit() -> None:
    """Four that take half of what is allowed, or less, are; four near it, or three, are not."""
    assert judged(times(2.0, 1.0, 0.9, 0.8, 0.7)) is Judged.MET
    assert judged(times(2.0, 1.0, 0.9, 0.8)) is Judged.SPARSE
    assert judged(times(2.0, 1.0, 0.9, 0.8, 1.9)) is Judged.SPARSE
    assert judged(times(2.0, *[1.9] * ENOUGH)) is Judged.MET


def test_first_launches_that_are_slow_end_no_ramp_but_a_search() -> None:
    """The first ones may be slow for a reason of their own; a count that is tried again and again is judged by few."""
    slow = times(2.0, 5.0, 5.0, 5.0, 5.0)
    assert judged(slow) is Judged.VIOLATED
    assert judged(slow, least=ENOUGH) is Judged.DOUBTFUL


def test_failures_that_one_launch_of_few_has_are_not_yet_known() -> None:
    """One of ten: too few to say anything; one of sixty: chance; six of sixty: violated; none of sixty: met."""
    found = {}
    for bad, total in ((1, 10), (1, 60), (6, 60), (0, 60), (0, 10), (0, 9)):
        trials = Trials()
        for number in range(total):
            trials.add(bad=number < bad)
        finding = trials.judge(0.01)
        assert finding is not None
        found[bad, total] = finding.judged
    assert found == {
        (1, 10): Judged.DOUBTFUL,
        (1, 60): Judged.PLAUSIBLE,
        (6, 60): Judged.VIOLATED,
        (0, 60): Judged.MET,
        (0, 10): Judged.PLAUSIBLE,
        (0, 9): Judged.SPARSE,
    }


def test_an_instance_that_dies_makes_its_launch_a_failed_one() -> None:
    """Whenever it dies; after a new measurement it is one of those that were alive at its beginning."""
    evidence = evidence_for({"failures_share": 0.1})
    numbers = [evidence.ended(1.0) for _ in range(30)]
    evidence.look([], in_doubt=False)
    evidence.died(numbers[3])
    values = evidence.measures("web", [], searching=False)
    assert values["slo.failures.web.failed_ratio"] == pytest.approx(1 / 30)
    evidence.clear(alive=29)
    fresh = [evidence.ended(1.0) for _ in range(5)]
    assert evidence.measures("web", [], searching=False)["slo.failures.web.failed_count"] == 0
    for number in numbers[4:14]:
        evidence.died(number)
    values = evidence.measures("web", [], searching=False)
    assert values["slo.failures.web.failed_ratio"] == pytest.approx(10 / 29)
    assert values["slo.failures.web.judged_level"] == Judged.VIOLATED
    evidence.died(fresh[0])
    assert evidence.launches.bads == [1]


def test_what_was_measured_while_density_was_late_is_not_used_again() -> None:
    """Times of such a wave are left out; that launches failed in it stays true."""
    evidence = evidence_for({"ready_p95_seconds": 1.0, "probe_p99_seconds": 0.1, "failures_share": 0.1})
    for _ in range(30):
        evidence.ended(9.0)
    evidence.ended(None)
    evidence.look([5.0] * 30, in_doubt=True)
    for _ in range(30):
        evidence.ended(0.1)
    values = evidence.measures("web", [0.001] * 30, searching=False)
    assert values["slo.ready.web.judged_level"] == values["slo.probe.web.judged_level"] == Judged.MET
    assert values["slo.failures.web.launches_count"] == 61


def test_bounds_are_told_where_there_are_any() -> None:
    """Sixty times have an upper bound of their 95th percentile, ten have none; a few have no lower one."""
    evidence = evidence_for({"ready_p95_seconds": 5.0})
    for number in range(10):
        evidence.ended(1 + number / 100)
    assert not any("high" in name for name in ready_values(evidence))
    for number in range(50):
        evidence.ended(1 + number / 100)
    values = dict.fromkeys(ready_values(evidence))
    assert "slo.ready.web.p95_high_seconds" in values
    assert "slo.ready.web.p95_low_seconds" in values


def ready_values(evidence: Evidence) -> Iterator[str]:
    """The names of what is known of times to ready."""
    return (name for name in evidence.measures("web", [], searching=False) if name.startswith("slo.ready"))
