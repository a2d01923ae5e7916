"""The lines of the channel: parsing, cleaning, cutting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.payload.protocol import (
    LINE_LIMIT,
    Begun,
    Benched,
    Lines,
    Pong,
    Ready,
    Refused,
    clean,
    parse,
    parse_console,
)


def test_ready_carries_id_kernel_and_uptime() -> None:
    """A payload's ready line gives its id, its kernel's release and its own age in seconds."""
    line = "density ready web-00001 kernel=6.1.0-50 uptime_us=1500000 pid=1"
    assert parse(line) == Ready("web-00001", "6.1.0-50", 1.5)
    assert parse(f"{line} secret=beef") == Ready("web-00001", "6.1.0-50", 1.5, "beef")


@pytest.mark.parametrize(
    "line", ["", "ready web-1", "density", "density pong", "density pong x", "density pong ²", "x" * 99]
)
def test_other_lines_are_no_protocol(line: str) -> None:
    """Whatever else an instance says is no word of the protocol, and no error."""
    assert parse(line) is None


def test_a_benchmarks_answers_are_understood() -> None:
    """Begun, done with an amount and seconds, or refused in words; numbers beyond 64 bits are no answers."""
    assert parse("density begun 7") == Begun(7)
    assert parse("density bench 7 4096 250000") == Benched(7, 4096, 0.25)
    assert parse("density refused 7 No space left on device") == Refused(7, "No space left on device")
    assert parse(f"density bench 7 {'9' * 21} 1") is None
    assert parse("density bench 7 4096") is None


def test_ready_without_fields_is_understood() -> None:
    """A guest that has no payload says two words; one that mangles its fields is still ready."""
    assert parse("density ready") == Ready("", "", 0.0)
    assert parse("density ready a uptime_us=soon") == Ready("a", "", 0.0)


def test_a_serial_line_may_begin_with_something_else() -> None:
    """Firmware or kernel may have begun the line that a guest goes on with."""
    assert parse_console("Booting from Hard Disk...density ready") == Ready("", "", 0.0)
    assert parse_console("[    1.2] random: density pong 7") == Pong(7)
    assert parse_console("login:") is None


def test_console_lines_lose_escapes_and_controls() -> None:
    """A terminal's escape sequences and control characters never reach a report."""
    line = b"\x1bc\x1b[?7l\x1b[2J\x1b[0;31mBoot\x1b[0m\ting\x07 \x1b]0;title\x07now\xff\r"
    assert clean(line) == "Boot ing now\ufffd"


@given(st.binary())
def test_clean_leaves_nothing_unprintable(line: bytes) -> None:
    """No input leaves a control character in a cleaned line."""
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in clean(line))


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_parse_never_raises(line: str) -> None:
    """No line of a hostile instance raises in the controller."""
    parse(line)
    parse("density " + line)
    parse_console(line)


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.integers(1, 7))
def test_lines_do_not_depend_on_how_they_arrive(lines: list[bytes], size: int) -> None:
    """However the bytes are cut into chunks, the same lines come out."""
    stream = b"".join(line + b"\n" for line in lines)
    cutter = Lines()
    out = [line for at in range(0, len(stream), size) for line in cutter.feed(stream[at : at + size])]
    assert out == [line.removesuffix(b"\r") for line in lines]


def test_a_line_without_end_takes_bounded_memory() -> None:
    """A flood without a line end keeps no more than the limit, and the next line is whole again."""
    cutter = Lines()
    for _ in range(100):
        assert cutter.feed(b"x" * 4096) == []
    assert len(cutter.rest) == LINE_LIMIT
    assert cutter.feed(b"\nnext\n") == [b"x" * LINE_LIMIT, b"next"]


@given(st.binary(max_size=200))
def test_no_line_is_an_error(line: bytes) -> None:
    """Whatever bytes come, they are a word of the protocol or none."""
    parse(clean(b"density " + line))
    parse_console(clean(line))
