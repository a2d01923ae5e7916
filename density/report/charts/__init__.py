"""The charts of a report, each in a file of its own; matplotlib is imported with this package and nowhere else."""

from collections.abc import Callable, Iterator

from density.report.charts import ceilings, counting, footprints, forecasting, pressing, rating, readying, tiles
from density.report.charts.canvas import Absent, Chart, Picture, picture, png, style, svg
from density.report.recorded import Recorded

__all__ = ["Absent", "Picture", "draw_charts", "export_charts"]

_CHARTS: tuple[tuple[str, Callable[[Recorded], Chart | Absent]], ...] = tuple(
    (chart.NAME, chart.draw)
    for chart in (counting, forecasting, readying, ceilings, footprints, pressing, rating, tiles)
)


def draw_charts(run: Recorded) -> Iterator[Picture | Absent]:
    """Every chart in the report's order, as SVG."""
    for name, draw in _CHARTS:
        with style(name):
            chart = draw(run)
            yield picture(chart) if isinstance(chart, Chart) else chart


def export_charts(run: Recorded) -> Iterator[tuple[str, bytes]]:
    """Files of every chart: name with its suffix (`.svg`, `.png`), and content."""
    for name, draw in _CHARTS:
        with style(name):
            chart = draw(run)
            if isinstance(chart, Chart):
                files = ((f"{name}.svg", svg(chart)), (f"{name}.png", png(chart)))
        if isinstance(chart, Chart):
            yield from files
