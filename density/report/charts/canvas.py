"""What all charts have in common: size, style, axes, and how they become SVG and PNG."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from density.report.charts.palette import BAND, GRID, INK, MUTED, SURFACE
from density.report.charts.svg import inline
from density.report.result import Document
from density.text import one_line
from density.units import format_count, format_seconds

WIDTH_INCHES = 6.0
HEIGHT_INCHES = 3.6
EACH_PANEL_INCHES = 1.1
_DOTS_PER_INCH = 160
_TICKS = 9
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "figure.facecolor": SURFACE,
    "axes.facecolor": "none",
    "savefig.facecolor": SURFACE,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart that was drawn.

    Attributes:
        name: of its file, and its id in a page.
        says: what it shows, in a sentence with numbers: the caption, and the alternative for who cannot see it.
    """

    name: str
    title: str
    says: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Absent:
    """A chart that this run has nothing for, and why."""

    name: str
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart for a page, which gives its SVG the colours and the font."""

    name: str
    title: str
    says: str
    inline: str


@contextmanager
def style(name: str) -> Iterator[None]:
    """What is drawn and written in here looks like density's, whatever the person's own settings are."""
    with mpl.rc_context(), warnings.catch_warnings():
        # Names from outside may be written in scripts that the font lacks: a page shows them, a PNG has boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": name})
        yield


def canvas(*, height: float = HEIGHT_INCHES) -> tuple[Figure, Axes]:
    """A figure with one pair of axes."""
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    return figure, figure.subplots()


def draw_knee(axes: Axes, latency: Document) -> None:
    """Where a latency bends, by its entry in the result's document; with the interval of the count."""
    if latency["shape"] == "knee":
        axes.axvspan(latency["low"], latency["high"], color=BAND, linewidth=0, zorder=0)
        axes.axvline(latency["count"], color=INK, linewidth=1.2, linestyle=(0, (2, 2)), label="knee")


def knee_at(latency: Document) -> str:
    """Where it is, as the beginning of a sentence: `From 181 on (162 to 184)`."""
    count, low, high = (format_count(latency[part]) for part in ("count", "low", "high"))
    return f"From {count} on ({low} to {high})"


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with panels one above the other, along the same x."""
    height = HEIGHT_INCHES + EACH_PANEL_INCHES * (count - 1)
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    return figure, list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])


def picture(chart: Chart) -> Picture:
    """The chart for a page; called inside `style`."""
    drawn = _svg(chart, transparent=True)
    return Picture(
        chart.name, chart.title, chart.says, inline(drawn, chart.name, title=chart.title, description=chart.says)
    )


def svg(chart: Chart) -> bytes:
    """The chart as a file of its own, in light colours; called inside `style`."""
    return _svg(chart, transparent=False).encode()


def _svg(chart: Chart, *, transparent: bool) -> str:
    file = io.StringIO()
    # Date and creator are left out, so that the same run gives the same bytes.
    chart.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=transparent)
    return file.getvalue()


def png(chart: Chart) -> bytes:
    """The chart as PNG; called inside `style`."""
    file = io.BytesIO()
    chart.figure.savefig(file, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


def label(text: str, longest: int = 28) -> str:
    """A name from outside as one short line that every font and XML takes."""
    line = one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def legend(axes: Axes, columns: int = 4) -> None:
    """Above the axes, in one row."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, handlelength=1.8,
                columnspacing=1.0, borderpad=0, handletextpad=0.5)  # fmt: skip


def count_axis(axes: Axes, text: str = "instances ready") -> None:
    """Instances along x."""
    axes.set_xlabel(text)
    whole_numbers(axes.xaxis)


def whole_numbers(axis: Axis) -> None:
    """Ticks where there are instances: at whole numbers."""
    axis.set_major_locator(MaxNLocator(integer=True, nbins="auto", min_n_ticks=2))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))


def seconds_axis(axes: Axes) -> None:
    """Durations along y."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_seconds(value) if value else "0"))


def time_axis(axes: Axes, seconds: float) -> None:
    """Time since the run's start along x, in the unit that fits how long it took."""
    unit, size = "seconds", 1
    for larger, length in (("minutes", 60), ("hours", 3600)):
        if seconds >= 3 * length:
            unit, size = larger, length
    step = next((step for step in (1, 2, 5, 10, 20, 30, 60, 120) if seconds / size / step <= _TICKS), 300)
    axes.set_xlabel(f"{unit} since the start")
    axes.xaxis.set_major_locator(MultipleLocator(step * size))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / size:g}"))
