"""The shape of waves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.model import Workload
from density.profile.spec import Ramp
from density.ramp.outlook import planned_waves
from density.ramp.shape import interleave, size
from density.shares import share_out, split


def workloads(*shares: float) -> list[Workload]:
    """Workloads a, b, c, ... with these shares."""
    return [Workload(name=chr(97 + index), engine="native", share=share) for index, share in enumerate(shares)]


@pytest.mark.parametrize(
    ("ramp", "sizes"),
    [
        (Ramp(shape="linear", start=3, step=7), [3, 7, 7]),
        (Ramp(shape="geometric", start=4, factor=1.5), [4, 6, 9]),
        (Ramp(shape="list", waves=(5, 1)), [5, 1, None]),
    ],
)
def test_each_shape_gives_its_sizes(ramp: Ramp, sizes: list[int | None]) -> None:
    """Linear steps, geometric growth, and a list that ends."""
    assert [size(ramp, wave) for wave in range(3)] == sizes


def test_a_geometric_wave_is_never_larger_than_the_maximum() -> None:
    """Wave 100,000 would not fit a float."""
    assert size(Ramp(shape="geometric", factor=9.0, max_instances=500), 100_000) == 500


@given(st.integers(0, 300), st.lists(st.floats(0.1, 50), min_size=1, max_size=5))
def test_a_split_wave_keeps_the_shares_as_near_as_whole_numbers_can(total: int, shares: list[float]) -> None:
    """The sizes add up, and no workload is more than one instance per workload off its share."""
    sizes = split(total, workloads(*shares), {})
    assert sum(sizes.values()) == total
    for count, share in zip(sizes.values(), shares, strict=True):
        assert abs(count - total * share / sum(shares)) <= len(shares)


@given(st.lists(st.integers(1, 40), max_size=12), st.lists(st.floats(0.1, 50), min_size=1, max_size=4))
def test_splitting_in_waves_is_splitting_at_once(waves: list[int], shares: list[float]) -> None:
    """What is alive after several waves is what one wave of all would have launched."""
    mixed = workloads(*shares)
    alive = dict.fromkeys((workload.name for workload in mixed), 0)
    for wave in waves:
        for name, count in split(wave, mixed, alive).items():
            alive[name] += count
    assert alive == split(sum(waves), mixed, {})


@given(st.integers(0, 3000), st.lists(st.floats(0.01, 500), min_size=1, max_size=6))
def test_a_total_is_shared_out_as_a_wave_of_all(total: int, shares: list[float]) -> None:
    """Without dealing out each one; also where shares are far apart."""
    assert share_out(total, workloads(*shares)) == split(total, workloads(*shares), {})


def test_a_mixed_wave_is_launched_mixed() -> None:
    """Three to one comes as three to one all along, not as one workload after the other."""
    order = interleave({"a": 6, "b": 2})
    assert order.count("a") == 6
    assert order[:4].count("b") == order[4:].count("b") == 1


@given(st.integers(1, 50), st.floats(1.1, 4), st.floats(0, 3000))
def test_the_plan_ends_where_the_forecast_does(start: int, factor: float, fits: float) -> None:
    """A dry run's waves add up to what fits, in whole instances."""
    waves = planned_waves(Ramp(start=start, factor=factor), fits)
    assert sum(waves) == int(fits)
    assert all(wave > 0 for wave in waves)
