"""Pressure and probe latency against count, from what was read at rest."""

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

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
from density.report.charts.palette import BLUE, GREEN, INK, ORANGE, RED
from density.report.recorded import Recorded
from density.statistics import quantile
from density.units import format_count, format_seconds

NAME, TITLE = "pressure", "Pressure and probes against count"
_PRESSURES = (("cpu", BLUE, "o-"), ("memory", ORANGE, "s--"), ("io", GREEN, "^:"))
FEW_PROBES = 5


@dataclass(frozen=True, slots=True)
class Point:
    """The host at rest with `count` instances.

    Attributes:
        pressures: share of time that some task waited for `cpu`, `memory`, `io`, 0 to 1.
        p50, p99: ping round trips in seconds; None where there were too few.
    """

    count: int
    pressures: dict[str, float]
    p50: float | None
    p99: float | None


def points(run: Recorded) -> list[Point]:
    """One point a rest, in the order of the counts."""
    found = []
    for rest in run.history.rests:
        names = {what: f"pressure.{what}.some_ratio" for what, _, _ in _PRESSURES}
        pressures = {what: rest.values[name] for what, name in names.items() if name in rest.values}
        some = len(rest.probes) >= FEW_PROBES
        p50, p99 = (quantile(rest.probes, q) if some else None for q in (0.5, 0.99))
        found.append(Point(rest.count, pressures, p50, p99))
    return sorted(found, key=lambda point: point.count)


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    known = points(run)
    pressed = [point for point in known if point.pressures]
    probed = [point for point in known if point.p99 is not None]
    drawn = [draws for draws, some in ((_pressure, pressed), (_probes, probed)) if len(some) > 1]
    if not drawn:
        return Absent(NAME, TITLE, "the kernel tells no pressure, and too few probes came back")
    figure, all_axes = panels(len(drawn))
    for axes, draws in zip(all_axes, drawn, strict=True):
        draws(axes, run, pressed if draws is _pressure else probed)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        legend(axes)
    count_axis(all_axes[-1])
    return Chart(NAME, TITLE, _says(run, pressed, probed), figure)


def _pressure(axes: Axes, run: Recorded, known: list[Point]) -> None:  # noqa: ARG001 — as `_probes`
    for what, colour, shape in _PRESSURES:
        some = [(point.count, point.pressures[what]) for point in known if what in point.pressures]
        if some:
            axes.plot(*zip(*some, strict=True), shape, color=colour, markersize=4, label=f"{what} pressure")
    axes.set_ylabel("time waited")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))


def _probes(axes: Axes, run: Recorded, known: list[Point]) -> None:
    counts = [point.count for point in known]
    for name, colour, shape in (("p50", BLUE, "o-"), ("p99", RED, "^:")):
        axes.plot(counts, [getattr(point, name) for point in known], shape, color=colour, markersize=4,
                  label=f"ping {name}")  # fmt: skip
    limit = run.bounds.objectives.probe_p99_seconds
    if limit is not None and limit < 1.6 * max(point.p99 or 0 for point in known):
        axes.axhline(limit, color=INK, linewidth=1.2, linestyle=(0, (5, 2)), label="objective (p99)")
    for workload in run.result["workloads"].values():
        draw_knee(axes, workload["latency"]["probe"])
    axes.set_ylabel("round trip")
    seconds_axis(axes)


def _says(run: Recorded, pressed: list[Point], probed: list[Point]) -> str:
    parts, bends = [], ""
    if len(pressed) > 1:
        last = pressed[-1]
        waits = ", ".join(f"{value:.1%} for {what}" for what, value in last.pressures.items())
        parts.append(f"At rest with {format_count(last.count)} ready, some task waited {waits}")
    if len(probed) > 1:
        last = probed[-1]
        bends = "".join(_bends(run))
        ping = f"99 of 100 pings took at most {format_seconds(last.p99 or 0)} with {format_count(last.count)} ready"
        parts.append(ping)
    return f"{'; '.join(parts)}.{bends}"


def _bends(run: Recorded) -> Iterator[str]:
    """Where pings of a workload begin to take longer."""
    for name, workload in run.result["workloads"].items():
        latency = workload["latency"]["probe"]
        if latency["shape"] == "knee":
            yield f" {knee_at(latency)}, pings of {label(name, 60)} take longer."
