"""What the live view shows, as text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from density.events import CeilingForecast, Event, Forecasted, InstanceChanged, StageEntered, Stopped, TornDown
from density.live.bar import ASCII, UNICODE, Glyphs, bar
from density.live.ceilings import nearest_readings
from density.live.frame import frame
from density.live.words import shorten
from density.model import Failure, Phase
from density.profile.spec import Ramp
from density.state import RunState, fold
from density.text import one_line

RAMP = Ramp(start=4, calibrate=0)


def _lines(
    state: RunState, width: int = 79, height: int = 40, glyphs: Glyphs = UNICODE, ramp: Ramp | None = RAMP
) -> list[str]:
    return [line.plain for line in frame(state, 65.0, width=width, height=height, glyphs=glyphs, ramp=ramp)]


def test_the_whole_view_at_80_columns_and_24_lines(events: list[Event]) -> None:
    """Everything is there: what happens, for how long, count against forecast, workloads, ceilings, host, failures."""
    assert [line.rstrip() for line in _lines(fold(events), height=23)] == [
        "density  quick[bold]  run r1  until safe                                   1:05",
        "Wave 2 of ≈8: launching 5 containers and 1 VM; tasks.pid_max in ≈897",
        "───────────────────────────────────────────────────────        about 9 min left",
        "",
        "3 ready, aiming at 9                                    room for ≈900 (850–950)",
        "─┃─────────────────────────────────────────────────────────────────────────────",
        "",
        "Workloads                  engine            ready starting   failed     lost",
        "  web                      docker                3        1        0        0",
        "  guest                    libvirt               0        0        1        0",
        "",
        "Nearest ceilings                                          use of limit at count",
        "  tasks.pid_max            ━─────────────────┃         1,300 of 32,768     ≈900",
        "  tasks.cgroup             ━━━━━━━━━━━━━━━━━━─               95 of 100        -",
        "  memory.available         ━━━──────────────┃─         4 GiB of 24 GiB        -",
        "",
        "Host        cpu 50%  memory 20 GiB free of 24 GiB  tasks 1,300  load 2.5",
        "Waiting for cpu 12.3%",
        "Last failures",
        "  guest-0 try_again ×1  OCI runtime create…o start: can't get final child's PID",
        "Warnings",
        "  [bold]emulated\\x1b]0;title\\x07 guests",
    ]


def test_the_whole_view_at_60_columns_in_ascii(events: list[Event]) -> None:
    """No number is cut off: names become shorter, and what would not fit is left out whole."""
    assert [line.rstrip() for line in _lines(fold(events), width=59, height=23, glyphs=ASCII)] == [
        "density  quick[bold]  run r1  until safe               1:05",
        "Wave 2 of ~8: launching 5 containers and 1 VM",
        "-----------------------------------        about 9 min left",
        "",
        "3 ready, aiming at 9                room for ~900 (850-950)",
        "-|---------------------------------------------------------",
        "",
        "Workloads                  ready starting   failed     lost",
        "  web                          3        1        0        0",
        "  guest                        0        0        1        0",
        "",
        "Nearest ceilings                      use of limit at count",
        "  tasks.pid_max     -----|         1,300 of 32,768     ~900",
        "  tasks.cgroup      ======               95 of 100        -",
        "  memory.available  =----|         4 GiB of 24 GiB        -",
        "",
        "Host        cpu 50%  memory 20 GiB free of 24 GiB",
        "Waiting for cpu 12.3%",
        "Last failures",
        "  guest-0 try_again x1  OCI runtim...get final child's PID",
        "Warnings",
        "  [bold]emulated\\x1b]0;title\\x07 guests",
    ]


def test_a_wide_view_has_longer_bars_and_messages(events: list[Event]) -> None:
    """At 120 columns the failure is there as a whole, and the bars end where the lines do."""
    lines = _lines(fold(events), width=119)
    assert any(line.endswith("[red]runc\\x1b[2J\\u202e unable to start: can't get final child's PID") for line in lines)
    assert {len(lines[number]) for number in (0, 2, 4, 5)} == {119}


def test_in_few_lines_what_matters_most_stays(events: list[Event]) -> None:
    """First the empty lines go, then what is at the bottom."""
    assert [line.split()[0] for line in _lines(fold(events), height=11)] == [
        *("density", "Wave", "─" * 55, "3", "─┃" + "─" * 77, "Workloads", "web", "guest", "Nearest", "tasks.pid_max"),
        "tasks.cgroup",
    ]


def test_without_the_ramp_no_time_is_promised(events: list[Event]) -> None:
    """A record without its profile still shows what happens."""
    assert _lines(fold(events), ramp=None)[1:3] == [
        "Wave 2: launching 5 containers and 1 VM; tasks.pid_max in ≈897",
        "",
    ]


@given(
    width=st.integers(20, 200),
    height=st.integers(1, 60),
    glyphs=st.sampled_from([ASCII, UNICODE]),
    until=st.integers(0, 30),
)
def test_no_line_is_wider_than_the_terminal(
    events: list[Event], width: int, height: int, glyphs: Glyphs, until: int
) -> None:
    """At any size and at any moment of a run, every line and their number fit."""
    lines = _lines(fold(events[:until]), width, height, glyphs)
    assert 1 <= len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    assert glyphs is UNICODE or all(line.isascii() for line in lines)


def test_the_end_says_why_and_what_is_left(events: list[Event]) -> None:
    """The last view keeps the count that was reached, the reason, and whether anything was left behind."""
    state = fold(
        [
            *events,
            Stopped(9.0, "ceiling", "the reserve was touched", "tasks.pid_max"),
            StageEntered(10.0, "teardown"),
            InstanceChanged(10.0, "web-0", "web", Phase.REMOVED),
        ]
    )
    text = "\n".join(_lines(state))
    assert "Removing everything: 3 to go" in text
    assert "a few seconds left" in text
    assert "Stopped: the reserve was touched" in text
    assert "3 were ready" in text
    state.apply(TornDown(12.0, 4, ("density-r1-web-0",), 2.0))
    over = "\n".join(_lines(state))
    assert "Removed 4 in 2 s, left behind: density-r1-web-0" in over
    assert "  web                      docker                3 " in over
    assert "Nearest ceilings" not in over
    state.apply(StageEntered(12.0, "done"))
    assert _lines(state)[1] == "Done"
    assert "left\n" not in "\n".join(_lines(state)[:3])


def test_a_ceiling_behind_us_leaves_room_for_none(events: list[Event]) -> None:
    """Where a forecast lies below what runs, or below nothing at all, no negative count is shown."""
    state = fold(events)
    passed = CeilingForecast("tasks.pid_max", "", 1300, 32768, 1600, -0.3, -4.0, 3.0)
    state.apply(Forecasted(6.0, (passed,)))
    text = "\n".join(_lines(state))
    assert "room for ≈0 (0–3)" in text
    assert "≈-" not in text


def test_failures_are_grouped_and_counted(events: list[Event]) -> None:
    """The same failure a hundred times takes one line, and another kind is still seen."""
    state = fold(events)
    for number in range(100):
        kind = "timeout" if number == 50 else "try_again"
        state.apply(InstanceChanged(6.0, f"w-{number}", "web", Phase.REQUESTED))
        state.apply(InstanceChanged(6.0, f"w-{number}", "web", Phase.FAILED, Failure(kind, "m")))
    text = "\n".join(_lines(state))
    assert "w-99 try_again ×99" in text.replace("  ", " ")
    assert text.count("try_again") == 1


def test_an_empty_state_has_a_view() -> None:
    """Before the first event there is something to show."""
    assert _lines(RunState())[1].startswith("Preparing engines")


def test_the_nearest_by_forecast_come_first(events: list[Event]) -> None:
    """A forecast count outranks a fuller ceiling whose use does not grow with the count."""
    assert [reading.ceiling for reading, _ in nearest_readings(fold(events))] == [
        "tasks.pid_max",
        "tasks.cgroup",
        "memory.available",
    ]


@given(st.floats(), st.integers(1, 200), st.none() | st.floats())
def test_a_bar_is_as_wide_as_asked(share: float, width: int, mark: float | None) -> None:
    """Whatever the share, infinities included."""
    if not math.isnan(share) and not (mark is not None and math.isnan(mark)):
        assert bar(share, width, glyphs=UNICODE, style="green", mark=mark).cell_len == width


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    """Nothing of a foreign text can move the cursor or turn the direction of writing."""
    assert one_line(text).isprintable()


@given(st.text(), st.integers(3, 50))
def test_shortened_text_fits_and_keeps_both_ends(text: str, width: int) -> None:
    """The end of an engine's message is where the reason is."""
    short = shorten(text, width, "…")
    assert len(short) <= width or short == text


@pytest.mark.parametrize(("share", "filled"), [(0.0, 0), (0.5, 5), (1.0, 10), (7.0, 10), (-1.0, 0)])
def test_a_bar_shows_its_share(share: float, filled: int) -> None:
    """Full and empty cells differ in form, so that no colour is needed."""
    assert bar(share, 10, glyphs=UNICODE, style="green").plain == "━" * filled + "─" * (10 - filled)
