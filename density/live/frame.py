"""What the live view shows, as lines of text: a pure function of the state.

Names and messages come from outside: they go through `clean` and into `Text` as they are, never through rich's markup.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from textwrap import wrap

from rich.text import Text

from density.ceilings.catalog import BY_ID
from density.ceilings.reading import Reading
from density.events import CeilingForecast
from density.live.bar import Glyphs, bar, heat
from density.live.words import STAGES, clean, listing, remaining, shorten, starting
from density.metrics.current import current_readings
from density.model import Phase
from density.state import RunState, WorkloadState
from density.units import format_bytes, format_count, format_seconds, format_value

CEILINGS = 3
WORKLOADS = 6
FAILURES = 3
WARNINGS = 2
_LABEL = 24
_USE = 23
_AT = 8
_INDENT = "  "


def frame(state: RunState, now: float, *, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The view's lines, none wider than `width` cells, at most `height` of them: what matters least is left out first.

    `now` is in seconds of the run's clock.
    """
    head = [_title(state, now, width), *_stage(state, width, glyphs), Text(), *_count(state, width, glyphs)]
    body = [
        *_section("", _workloads(state)),
        # Of an empty host nobody wants to know how far away the ceilings are.
        *([] if state.torn_down else [*_section("", _ceilings(state, width, glyphs)), *_section("", _host(state))]),
    ]
    tail = [
        *_section("Last failures", _failures(state, width, glyphs)),
        *_section("Warnings", _sentences(state.warnings[-WARNINGS:], width, glyphs, "yellow")),
    ]
    lines = [*head, *body, *tail][: max(height, 1)]
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis" if glyphs.ellipsis == "…" else "crop")
    return lines


def _section(title: str, lines: Iterator[Text]) -> Iterator[Text]:
    found = list(lines)
    if found:
        yield Text()
        if title:
            yield Text(title, "bold")
        yield from found


def _spread(left: Text, right: Text, width: int) -> Text:
    """Left and right ends of one line."""
    left.truncate(max(width - right.cell_len - 1, 0))
    return Text.assemble(left, " " * max(width - left.cell_len - right.cell_len, 1), right)


def _title(state: RunState, now: float, width: int) -> Text:
    left = Text.assemble(("density", "bold"), "  ", (clean(state.profile_name), "bold cyan"))
    if state.run_id:
        left.append(f"  until {state.until}  run {clean(state.run_id)}", "bright_black")
    elapsed = max(now - state.started_at, 0.0) if state.run_id else 0.0
    return _spread(left, Text(_clock(elapsed)), width)


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _stage(state: RunState, width: int, glyphs: Glyphs) -> Iterator[Text]:
    left = Text(STAGES[state.stage], "bold")
    if state.stage in ("calibrate", "ramp", "search") and state.wave:
        left.append(f", wave {state.wave}", "bold")
        left.append(f": {_wave(state)}")
    elif state.stage == "hold":
        left.append(f": {format_count(state.alive)} ready")
    elif state.stage == "teardown" and state.torn_down is None:
        left.append(f": {format_count(remaining(state))} to go")
    launching = state.stage in ("calibrate", "ramp", "search") and state.launch_rate
    yield _spread(left, Text(f"{state.launch_rate:.1f} ready/s" if launching else ""), width)
    if state.outcome:
        yield from _sentences([f"Stopped: {state.outcome.reason}"], width, glyphs, "bold")
    if state.torn_down:
        gone = f"Removed {format_count(state.torn_down.removed)} in {format_seconds(state.torn_down.seconds)}"
        left_over = ", ".join(state.torn_down.left)
        sentence = f"{gone}, left behind: {left_over}" if left_over else f"{gone}, nothing is left"
        yield from _sentences([sentence], width, glyphs, "bold red" if left_over else "")


def _wave(state: RunState) -> str:
    if state.settled and state.settled[-1].wave == state.wave:
        return "settled"
    on_their_way = sum(starting(counts) for counts in state.counts.values())
    return f"launching, {format_count(on_their_way)} on their way" if on_their_way else "settling"


def _count(state: RunState, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """How many are ready, against the nearest forecast, with a mark where this wave aims."""
    nearest = next((ceiling for ceiling in state.forecast if math.isfinite(ceiling.count)), None)
    over = state.alive_at_end is not None
    count = sum(state.alive_at_end.values()) if state.alive_at_end is not None else state.alive
    scale = max(nearest.count if nearest else 0.0, state.target, count, 1)
    aim = state.target if state.outcome is None and not over else 0
    left = Text(f"{format_count(count)} {'were ready' if over else 'ready'}", "bold green")
    if aim:
        left.append(f", aiming at {format_count(aim)}", "not bold default")
    right = Text()
    if nearest:
        right.append(f"room for {glyphs.about} {format_count(max(nearest.count, 0))}", "bold")
        right.append(_interval(nearest, glyphs), "bright_black")
    yield _spread(left, right, width)
    yield bar(count / scale, width, glyphs=glyphs, style="green", mark=aim / scale)


def _interval(ceiling: CeilingForecast, glyphs: Glyphs) -> str:
    """` (850–950)`; empty where it is no wider than the count itself."""
    low, high = format_count(max(ceiling.low, 0)), format_count(max(ceiling.high, 0))
    if low == high:
        return ""
    return f" ({low}{glyphs.to}{high})" if math.isfinite(ceiling.high) else f" ({low} or more)"


def _workloads(state: RunState) -> Iterator[Text]:
    if state.workloads:
        head = f"{'engine':<14} {'ready':>8} {'starting':>8} {'failed':>8} {'lost':>8}"
        yield Text.assemble((f"{'Workloads':<27}", "bold"), (head, "bright_black"))
    for name, workload in islice(state.workloads.items(), WORKLOADS):
        counts = state.counts[name]
        ready = state.alive_at_end[name] if state.torn_down and state.alive_at_end else counts[Phase.READY]
        line = Text(f"{_INDENT}{clean(name):<24.24} {_engine(workload):<14.14}")
        for count, style in (
            (ready, "green"),
            (starting(counts), "default"),
            (workload.failed, "red"),
            (workload.lost, "red"),
        ):
            line.append(f" {format_count(count):>8}", style if count else "bright_black")
        yield line
    if len(state.workloads) > WORKLOADS:
        more = dict(islice(state.alive_by_workload.items(), WORKLOADS, None))
        yield Text(f"{_INDENT}{len(more)} more workloads: {listing(more) or 'none'} ready", "bright_black")


def _engine(workload: WorkloadState) -> str:
    return f"{workload.workload.engine} {workload.accelerator}".strip()


def _ceilings(state: RunState, width: int, glyphs: Glyphs) -> Iterator[Text]:
    nearest = nearest_readings(state)
    size = max(width - len(_INDENT) - _LABEL - _USE - _AT - 3, 5)
    for number, (reading, count) in enumerate(nearest):
        if number == 0:
            head = Text("Nearest ceilings", "bold")
            yield _spread(head, Text(f"{'use of limit':>{_USE}} {'at count':>{_AT}}", "bright_black"), width)
        ceiling = BY_ID[reading.ceiling]
        label = f"{reading.ceiling} {clean(reading.subject)}"
        use = f"{format_value(reading.used, ceiling.unit)} of {format_value(reading.limit, ceiling.unit)}"
        at = f"{glyphs.about} {format_count(max(count, 0))}" if math.isfinite(count) else "-"
        reserve = 1 - reading.reserve / reading.limit if reading.reserve and reading.limit else None
        share = reading.ratio
        yield Text.assemble(
            f"{_INDENT}{label:<{_LABEL}.{_LABEL}} ",
            bar(share, size, glyphs=glyphs, style=heat(share), mark=reserve),
            f" {use:>{_USE}} ",
            (f"{at:>{_AT}}", "bold"),
        )


def nearest_readings(state: RunState) -> list[tuple[Reading, float]]:
    """The ceilings that a person should watch, each with its forecast count (infinite: none).

    Those of the forecast come first, nearest first; then, by use, those whose use does not grow with the count.
    """
    now = {reading.key: reading for reading in current_readings(state)}
    found: list[tuple[Reading, float]] = []
    for ceiling in state.forecast:
        key = (ceiling.ceiling, ceiling.subject)
        if math.isfinite(ceiling.count) and key[0] in BY_ID:
            then = Reading(*key, ceiling.used, ceiling.limit, ceiling.reserve)
            found.append((now.pop(key, then), ceiling.count))
    found += [(reading, math.inf) for reading in sorted(now.values(), key=lambda reading: -reading.ratio)]
    return found[:CEILINGS]


def _host(state: RunState) -> Iterator[Text]:
    host = state.host
    parts: list[tuple[str, str]] = []
    if "cpu.busy_ratio" in host:
        parts.append(("cpu", f"{host['cpu.busy_ratio']:.0%}"))
    if "load.one" in host:
        parts.append(("load", f"{host['load.one']:.1f}"))
    if "memory.available_bytes" in host and "memory.total_bytes" in host:
        free, total = format_bytes(host["memory.available_bytes"]), format_bytes(host["memory.total_bytes"])
        parts.append(("memory", f"{free} free of {total}"))
    if "tasks.count" in host:
        parts.append(("tasks", format_count(host["tasks.count"])))
    if parts:
        yield _facts("Host", parts)
    waits = [
        (resource, f"{host[name]:.1%}")
        for resource in ("cpu", "memory", "io")
        if (name := f"pressure.{resource}.some_avg10_ratio") in host
    ]
    if waits:
        yield _facts("Waiting for", waits)


def _facts(title: str, facts: list[tuple[str, str]]) -> Text:
    line = Text(f"{title:<12}", "bold")
    for number, (name, value) in enumerate(facts):
        line.append(f"{'  ' if number else ''}{name} ", "bright_black")
        line.append(value, "default")
    return line


def _failures(state: RunState, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """The last failure of each workload and kind, newest first, and how many of those there were."""
    last: dict[tuple[str, str], tuple[str, str, str]] = {}
    for event in reversed(state.last_failures):
        if event.failure and (key := (event.workload, event.failure.kind)) not in last and len(last) < FAILURES:
            tally = state.workloads[event.workload].failures[event.failure.kind]
            what = f"{event.failure.kind} {glyphs.times}{format_count(tally.count)}"
            last[key] = (clean(event.instance_id)[:24], what, clean(event.failure.message))
    names, kinds = (max((len(row[column]) for row in last.values()), default=0) for column in (0, 1))
    for name, what, message in last.values():
        line = Text.assemble(f"{_INDENT}{name:<{names}} ", (f"{what:<{kinds}}", "red"), "  ")
        yield line.append(shorten(message, width - line.cell_len, glyphs.ellipsis))


def _sentences(sentences: Iterable[str], width: int, glyphs: Glyphs, style: str) -> Iterator[Text]:
    """Each on two lines at most."""
    for sentence in sentences:
        for line in wrap(clean(sentence), width - len(_INDENT), max_lines=2, placeholder=glyphs.ellipsis):
            yield Text.assemble(_INDENT, (line, style))
