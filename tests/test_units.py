"""Quantities as people write and read them."""

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
    assert "e" not in format_value(value, unit)
    assert "e" not in format_digits(value)


def test_what_rounds_up_to_the_next_unit_is_told_in_it() -> None:
    """A second is not a thousand milliseconds."""
    assert format_seconds(0.9996) == "1 s"
    assert format_seconds(0.0009997) == "1 ms"
    assert format_bytes(999.7 * 1024) == "1000 KiB"


def test_counts_are_printed_whole_and_costs_with_their_fraction() -> None:
    """12.4 tasks an instance is not 12, and 32,768 tasks have no fraction."""
    assert format_value(12.4, "tasks") == "12.4"
    assert format_value(32768.0, "tasks") == "32,768"
    assert format_value(0.25, "ratio") == "25.0%"
