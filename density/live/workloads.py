"""The live view's lines about the workloads, and about those of their instances that failed."""

from collections.abc import Iterator
from itertools import islice

from rich.text import Text

from density.live.bar import Glyphs
from density.live.words import INDENT, listing, shorten, starting
from density.model import Phase
from density.state import RunState, WorkloadState
from density.text import one_line
from density.units import format_count

_ENGINE = 14
_COUNT = 8
_NAME = 24
_WIDE = 76
"""Columns from which there is room for the engine."""


def workloads(state: RunState, width: int, most: int) -> Iterator[Text]:
    """A table with a line for each of the first workloads, and one for all the others."""
    wide = width >= _WIDE
    name_width = _NAME if wide else max(min(width - len(INDENT) - 4 * (_COUNT + 1), _NAME), 1)
    if state.workloads:
        head = "".join(f" {title:>{_COUNT}}" for title in ("ready", "starting", "failed", "lost"))
        title = "Workloads".ljust(len(INDENT) + name_width) + (f" {'engine':<{_ENGINE}}" if wide else "")
        yield Text.assemble((title[:9], "bold"), (title[9:] + head, "bright_black"))
    for name, workload in islice(state.workloads.items(), most):
        counts = state.counts[name]
        ready = state.alive_at_end[name] if state.torn_down and state.alive_at_end else counts[Phase.READY]
        line = Text(f"{INDENT}{one_line(name):<{name_width}.{name_width}}")
        line.append(f" {_engine(workload):<{_ENGINE}.{_ENGINE}}" if wide else "")
        for count, style in (
            (ready, "green"),
            (starting(counts), "default"),
            (workload.failed, "red"),
            (workload.lost, "red"),
        ):
            line.append(f" {format_count(count):>{_COUNT}}", style if count else "bright_black")
        yield line
    if len(state.workloads) > most:
        more = dict(islice(state.alive_by_workload.items(), most, None))
        yield Text(f"{INDENT}{len(more)} more workloads: {listing(more) or 'none'} ready", "bright_black")


def _engine(workload: WorkloadState) -> str:
    return f"{workload.workload.engine} {workload.accelerator}".strip()


def failures(state: RunState, width: int, glyphs: Glyphs, most: int) -> Iterator[Text]:
    """The last failure of each workload and kind, newest first, and how many of those there were."""
    last: dict[tuple[str, str], tuple[str, str, str]] = {}
    for event in reversed(state.last_failures):
        if event.failure and (key := (event.workload, event.failure.kind)) not in last and len(last) < most:
            tally = state.workloads[event.workload].failures[event.failure.kind]
            what = f"{event.failure.kind} {glyphs.times}{format_count(tally.count)}"
            last[key] = (one_line(event.instance_id)[:24], what, one_line(event.failure.message))
    names, kinds = (max((len(row[column]) for row in last.values()), default=0) for column in (0, 1))
    for name, what, message in last.values():
        line = Text.assemble(f"{INDENT}{name:<{names}} ", (f"{what:<{kinds}}", "red"), "  ")
        yield line.append(shorten(message, width - line.cell_len, glyphs.ellipsis))
