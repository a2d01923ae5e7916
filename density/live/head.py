"""The top of the live view: which run, what it does, how far it is, and how many are ready."""

import math
from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from density.events import CeilingForecast
from density.live.bar import Glyphs, bar
from density.live.doing import doing
from density.live.remaining import done_share, seconds_left
from density.live.words import about, sentences
from density.profile.spec import Ramp
from density.state import RunState
from density.text import one_line
from density.units import format_count, format_seconds

_LEFT = 23
"""Columns for the time left, so that the bar beside it does not change its length."""


def spread(left: Text, right: Text, width: int) -> Text:
    """Left and right ends of one line."""
    left.truncate(max(width - right.cell_len - 1, 0))
    return Text.assemble(left, " " * max(width - left.cell_len - right.cell_len, 1), right)


def title(state: RunState, now: float, width: int) -> Text:
    """Profile, run, and the time since its start."""
    left = Text.assemble(("density", "bold"), "  ", (one_line(state.profile_name), "bold cyan"))
    time = Text(_clock(max(now - state.started_at, 0.0) if state.run_id else 0.0))
    if state.run_id:
        run, until = f"  run {one_line(state.run_id)}", f"  until {state.until}"
        fits = left.cell_len + cell_len(run + until) + time.cell_len < width
        left.append(run + (until if fits else ""), "bright_black")
    return spread(left, time, width)


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def happening(state: RunState, ramp: Ramp | None, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """What is happening, how long it will take, and, at the end, how it went."""
    said = doing(state, ramp, glyphs).fitting(width)
    yield Text.assemble((said.step, "bold"), said.rest)
    if ramp is not None and state.stage != "done":
        yield _progress(state, ramp, width, glyphs)
    if state.outcome:
        yield from sentences([f"Stopped: {state.outcome.reason}"], width, glyphs, "bold")
    if state.torn_down:
        gone = f"Removed {format_count(state.torn_down.removed)} in {format_seconds(state.torn_down.seconds)}"
        left_over = ", ".join(state.torn_down.left)
        sentence = f"{gone}, left behind: {left_over}" if left_over else f"{gone}, nothing is left"
        yield from sentences([sentence], width, glyphs, "bold red" if left_over else "")


def _progress(state: RunState, ramp: Ramp, width: int, glyphs: Glyphs) -> Text:
    left = seconds_left(ramp, state)
    share, text = (0.0, "time left not known yet") if left is None else (done_share(state, left), f"{about(left)} left")
    size = max(width - _LEFT - 1, 5)
    return Text.assemble(bar(share, size, glyphs=glyphs, style="cyan"), f" {text:>{_LEFT}}")


def count(state: RunState, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """How many are ready, against the nearest forecast, with a mark where this wave aims."""
    nearest = next((ceiling for ceiling in state.forecast if math.isfinite(ceiling.count)), None)
    over = state.alive_at_end is not None
    ready = sum(state.alive_at_end.values()) if state.alive_at_end is not None else state.alive
    scale = max(nearest.count if nearest else 0.0, state.target, ready, 1)
    aim = state.target if state.outcome is None and not over else 0
    left = Text(f"{format_count(ready)} {'were ready' if over else 'ready'}", "bold green")
    if aim:
        left.append(f", aiming at {format_count(aim)}", "not bold default")
    right = Text()
    if nearest:
        if nearest.is_vague:
            right.append("room not known yet", "bright_black")
        else:
            right.append(f"room for {glyphs.about}{format_count(max(nearest.count, 0))}", "bold")
            right.append(_interval(nearest, glyphs), "bright_black")
    yield spread(left, right, width)
    yield bar(ready / scale, width, glyphs=glyphs, style="green", mark=aim / scale)


def _interval(ceiling: CeilingForecast, glyphs: Glyphs) -> str:
    """` (850–950)`; empty where it is no wider than the count itself."""
    if ceiling.typical:
        return ", not measured yet"
    low, high = format_count(max(ceiling.low, 0)), format_count(max(ceiling.high, 0))
    if low == high:
        return ""
    return f" ({low}{glyphs.to}{high})" if math.isfinite(ceiling.high) else f" ({low} or more)"
