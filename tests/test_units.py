"""Quantities as people write and read them."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.units import (
    format_bytes,
    format_digits,
    format_seconds,
    format_value,
    parse_bytes,
    parse_seconds,
    parse_share,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [("64MiB", 64 * 2**20), ("64M", 64 * 2**20), ("64MB", 64_000_000), ("1.5GiB", 3 * 2**29), ("0", 0), (512, 512)],
)
def test_sizes_are_bytes(text: str | int, count: int) -> None:
    """Binary and decimal units, the short ones being binary."""
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "MiB", "-1MiB", "1 banana", "1e3", "5s", "١MiB ", True, -1])
def test_what_is_no_size_is_refused_with_what_is_allowed(text: str | int) -> None:
    """The message says what was found and gives an example."""
    with pytest.raises(ValueError, match=r'"64MiB"|negative'):
        parse_bytes(text)


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("5s", 5), ("2m", 120), ("1h", 3600), (1.5, 1.5)])
def test_durations_are_seconds(text: str | float, seconds: float) -> None:
    """Every unit, and a bare number of seconds."""
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["101%", "1.1", "-5%", "five"])
def test_shares_are_between_none_and_all(text: str) -> None:
    """A share above 1 is a mistake in the unit."""
    with pytest.raises(ValueError, match="share"):
        parse_share(text)


@given(st.floats(min_value=1, max_value=1e15))
def test_printed_sizes_are_near_the_truth(size: float) -> None:
    """What is printed reads back within the three digits that are shown."""
    assert parse_bytes(format_bytes(size).replace(" ", "")) == pytest.approx(size, rel=0.006, abs=0.5)


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e-5, "50 us"), (0.0032, "3.2 ms"), (1.25, "1.25 s"), (250, "4 min 10 s"), (7300, "2 h 1 min")],
)
def test_durations_are_printed_in_the_unit_that_people_would_choose(value: float, text: str) -> None:
    """From microseconds to hours."""
    assert format_seconds(value) == text


@given(st.floats(min_value=1e-3, max_value=1e17), st.sampled_from(["bytes", "seconds", "ratio", "tasks"]))
def test_nothing_is_printed_with_an_exponent(value: float, unit: str) -> None:
    """Also where three digits round up to the next unit."""
    assert re.search(r"\de[+-]?\d", format_value(value, unit)) is None
    assert re.search(r"\de[+-]?\d", format_digits(value)) is None


def test_what_rounds_up_to_the_next_unit_is_told_in_it() -> None:
    """A second is not a thousand milliseconds."""
    assert format_seconds(0.9996) == "1 s"
    assert format_seconds(0.0009997) == "1 ms"
    assert format_bytes(999.7 * 1024) == "1000 KiB"


def seconds_of(text: str) -> float:
    """A printed duration read back."""
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
    words = text.split()
    return sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))


EDGES = st.builds(
    lambda edge, steps, near: edge + near if not steps else math.nextafter(edge, math.inf * steps),
    st.sampled_from([2.0**10, 2.0**20, 2.0**30, 2.0**40, 1e-3, 1.0, 60.0, 120.0, 3600.0, 7200.0, 86400.0]),
    st.sampled_from([-1, 0, 1]),
    st.floats(-1, 1),
).filter(lambda value: value >= 1e-6)
"""Numbers at the edge of every unit: the next one below, itself, the next one above, and those around."""


@given(EDGES | st.floats(1, 2**50), EDGES | st.floats(1, 2**50))
def test_larger_sizes_are_printed_larger(one: float, other: float) -> None:
    """At every edge of a unit too; and no number of a unit is as large as one of the next."""
    smaller, larger = (format_bytes(value) for value in sorted((one, other)))
    assert parse_bytes(smaller.replace(" ", "")) <= parse_bytes(larger.replace(" ", ""))
    for text in (smaller, larger):
        assert float(text.split()[0]) < 1024 or text.endswith("TiB")


@given(EDGES | st.floats(1e-6, 1e6), EDGES | st.floats(1e-6, 1e6))
def test_longer_durations_are_printed_longer(one: float, other: float) -> None:
    """At every edge of a unit too; seconds end at two minutes, minutes at two hours."""
    smaller, larger = (format_seconds(value) for value in sorted((one, other)))
    assert seconds_of(smaller) <= seconds_of(larger)
    for text in (smaller, larger):
        number, unit = text.split()[:2]
        assert float(number) < {"us": 1000, "ms": 1000, "s": 120, "min": 120}.get(unit, math.inf)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (math.nextafter(2.0**30, 0), "bytes", "1 GiB"),
        (2.0**20 - 1, "bytes", "1 MiB"),
        (1023.6, "bytes", "1 KiB"),
        (1023.4, "bytes", "1023 B"),
        (1023.4 * 2**20, "bytes", "1023 MiB"),
        (119.9, "seconds", "1 min 59 s"),
        (119.4, "seconds", "119 s"),
        (-0.25, "seconds", "-250 ms"),
        (math.nextafter(1.0, 0), "ratio", "over 99.9%"),
        (0.9994, "ratio", "99.9%"),
        (1.0, "ratio", "100.0%"),
        (99.996, "tasks", "100"),
    ],
)
def test_edges(value: float, unit: str, text: str) -> None:
    """A number just below a unit, a full share or a hundred is not printed as what it is not."""
    assert format_value(value, unit) == text


def test_counts_are_printed_whole_and_costs_with_their_fraction() -> None:
    """12.4 tasks an instance is not 12, and 32,768 tasks have no fraction."""
    assert format_value(12.4, "tasks") == "12.4"
    assert format_value(32768.0, "tasks") == "32,768"
    assert format_value(0.25, "ratio") == "25.0%"
