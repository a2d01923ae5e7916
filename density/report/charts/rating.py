"""Launch rate against count."""

from density.report.charts.canvas import Absent, Chart, canvas, count_axis
from density.report.charts.palette import BLUE
from density.report.recorded import Recorded
from density.units import format_count, format_value

NAME, TITLE = "rate", "Launch rate against count"
FEW = 5
"""A wave with fewer launches than this has no rate worth a point."""


def points(run: Recorded) -> list[tuple[int, float]]:
    """Count at a wave's end, and how many of it became ready per second; in the order of the counts."""
    waves = [wave for wave in run.history.waves if len(wave.ready_seconds) >= FEW]
    return sorted((wave.alive, wave.rate) for wave in waves if wave.alive is not None and wave.rate is not None)


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    known = points(run)
    if not known:
        return Absent(NAME, TITLE, f"no wave of at least {FEW} instances came to rest")
    figure, axes = canvas()
    axes.plot(*zip(*known, strict=True), "o-", color=BLUE, markersize=4.5)
    axes.set_ylabel("ready per second")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.1 * max(rate for _, rate in known))
    count_axis(axes)
    (first, quick), (last, slow) = known[0], known[-1]
    said = f"{format_value(quick, 'instances')} a second with {format_count(first)} ready"
    if len(known) > 1:
        said += f", {format_value(slow, 'instances')} a second with {format_count(last)}"
    return Chart(NAME, TITLE, f"{said}.", figure)
