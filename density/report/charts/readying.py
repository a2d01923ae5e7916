"""Time to ready against count, a panel a workload, with the objective and the knee."""

from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.axes import Axes

from density.report.charts.canvas import (
    Absent,
    Chart,
    count_axis,
    draw_knee,
    knee_at,
    label,
    legend,
    panels,
    seconds_axis,
)
from density.report.charts.palette import BLUE, INK, ORANGE, RED
from density.report.history import Wave
from density.report.recorded import Recorded
from density.report.result import Document
from density.statistics import quantile
from density.units import format_count, format_seconds

NAME, TITLE = "ready", "Time to ready against count"
FEW = 5
"""Launches that it takes to speak of percentiles and rates; smaller waves are put together until there are so many."""
MOST = 4
"""Workloads that get a panel: those with the most launches."""
_LINES = (("p50", 0.5, BLUE, "o-"), ("p95", 0.95, ORANGE, "s--"), ("p99", 0.99, RED, "^:"))
_NEAR = 1.6
"""An objective is drawn where it is less than this many times what was measured: else it would flatten the lines."""


@dataclass(frozen=True, slots=True)
class Point:
    """Times to ready in seconds, with `count` instances of all workloads ready afterwards."""

    count: int
    p50: float
    p95: float
    p99: float


def points(waves: Iterable[Wave], workload: str) -> list[Point]:
    """Of one workload, a point a wave, or for several small ones; in the order of the counts."""
    settled = sorted((wave.alive, wave.ready.get(workload, [])) for wave in waves if wave.alive is not None)
    groups: list[tuple[int, list[float]]] = []
    for count, seconds in settled:
        if groups and len(groups[-1][1]) < FEW:
            groups[-1] = (count, groups[-1][1] + seconds)
        elif seconds:
            groups.append((count, seconds))
    if len(groups) > 1 and len(groups[-1][1]) < FEW:
        (_, before), (count, last) = groups[-2:]
        groups[-2:] = [(count, before + last)]
    return [
        Point(count, *(quantile(seconds, q) for _, q, _, _ in _LINES))
        for count, seconds in groups
        if len(seconds) >= FEW
    ]


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    names = sorted(run.state.workloads, key=lambda name: -run.state.workloads[name].launched)
    known = {name: points(run.history.waves, name) for name in names}
    shown = {name: known[name] for name in list(known)[:MOST] if known[name]}
    if not shown:
        return Absent(NAME, TITLE, f"fewer than {FEW} instances became ready in waves that came to rest")
    figure, all_axes = panels(len(shown))
    for axes, (name, its) in zip(all_axes, shown.items(), strict=True):
        _panel(axes, run, name, its)
        if len(run.state.workloads) > 1:
            axes.set_ylabel(label(name, 20))
        legend(axes)
    count_axis(all_axes[-1])
    return Chart(NAME, TITLE, " ".join(_says(run, name, its) for name, its in shown.items()), figure)


def _panel(axes: Axes, run: Recorded, name: str, known: list[Point]) -> None:
    counts = [point.count for point in known]
    for line, _, colour, shape in _LINES:
        axes.plot(counts, [getattr(point, line) for point in known], shape, color=colour, markersize=4.5, label=line)
    limit = run.bounds.objectives.ready_p95_seconds
    if limit is not None and limit < _NEAR * max(point.p99 for point in known):
        axes.axhline(limit, color=INK, linewidth=1.2, linestyle=(0, (5, 2)), label="objective (p95)")
    draw_knee(axes, run.result["workloads"][name]["latency"]["ready"])
    axes.set_ylabel("launch to ready")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    seconds_axis(axes)


def _says(run: Recorded, name: str, known: list[Point]) -> str:
    first, last = known[0], known[-1]
    what = f"launches of {label(name, 60)}" if len(run.state.workloads) > 1 else "launches"
    said = f"With {format_count(first.count)} ready, 95 of 100 {what} were ready within {format_seconds(first.p95)}"
    if len(known) > 1:
        said += f"; with {format_count(last.count)}, within {format_seconds(last.p95)}"
    return f"{said}.{_bend(run.result['workloads'][name]['latency']['ready'])}"


def _bend(latency: Document) -> str:
    """What the fit says of a knee; nothing where there were too few launches to tell."""
    if latency["shape"] == "unknown":
        return ""
    if latency["shape"] != "knee":
        return f" No knee: {latency['reason']}."
    return f" {knee_at(latency)}, times grow faster."
