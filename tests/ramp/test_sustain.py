"""Whether a hold is sustained, from what it has measured."""

import numpy as np
import pytest

from density.ceilings.reading import Bounds
from density.evidence import SPENT
from density.profile.spec import Objectives, Reserve
from density.ramp.sustain import LEAST_SAMPLES, PARTS, violated
from density.sustained import HoldSeries

LIMIT = 0.05


def bounds(**objectives: float) -> Bounds:
    """With these objectives."""
    return Bounds(Reserve(), Objectives(**objectives))


def test_looks_at_a_hold_are_together_no_surer_to_be_wrong_than_those_at_a_ramp() -> None:
    """Round trips that just meet the objective fail few holds: the chance of the first look by 1 + 1/2 + 1/3 + 1/4."""
    chances, runs = np.random.default_rng(1), 1500
    failed = 0
    for _ in range(runs):
        series = HoldSeries(0.0)
        for part in range(1, PARTS + 2):
            for slow in chances.random(200 if part <= PARTS else 0) < 0.01:
                series.add_probe("web", 30, 2 * LIMIT if slow else LIMIT / 2)
            if violated(series, bounds(probe_p99_seconds=LIMIT), look=part):
                failed += 1
                break
    spent = SPENT * sum(1 / look for look in range(1, PARTS + 2))
    assert failed / runs <= spent + 3 * (spent / runs) ** 0.5


@pytest.mark.parametrize(("look", "sure"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_later_look_has_to_be_surer(look: int, sure: bool) -> None:  # noqa: FBT001 — a case
    """Seven slow ones of 200 come by chance in 0.43 % of all holds: less than a half of 1 %, more than a third."""
    series = HoldSeries(0.0)
    for number in range(200):
        series.add_probe("web", 30, 2 * LIMIT if number < 7 else LIMIT / 2)
    assert bool(violated(series, bounds(probe_p99_seconds=LIMIT), look=look)) is sure


@pytest.mark.parametrize(("samples", "judged"), [(LEAST_SAMPLES - 1, False), (LEAST_SAMPLES, True)])
def test_a_part_is_judged_by_enough_samples_or_with_the_whole(samples: int, judged: bool) -> None:  # noqa: FBT001 — a case
    """A mean of few samples is chance; the whole hold is judged by what there is."""
    series = HoldSeries(0.0)
    mark = series.mark()
    for sample in range(samples):
        series.add_sample(0.5 * (sample + 1), {"cpu.busy_ratio": 1.0})
    missed = bounds(cpu_busy_share=0.5)
    assert bool(violated(series, missed, since=mark)) is judged
    assert violated(series, missed)
