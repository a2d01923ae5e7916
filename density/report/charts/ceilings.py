"""Use of each ceiling: before the first instance, and at most."""

from matplotlib.axes import Axes

from density.ceilings.catalog import BY_ID
from density.report.charts.canvas import Absent, Chart, canvas, label
from density.report.charts.palette import BAND, BLUE, INK, MUTED, RED, SLATE
from density.report.recorded import Recorded
from density.report.uses import Use
from density.units import format_value

NAME, TITLE = "ceilings", "Use of each ceiling"
MOST = 10
"""The nearest ones are drawn; the rest is far away."""
_SEEN = 0.985
"""A reserve that begins past this share of the limit is a hair before its end."""
SLIGHT, FEWEST = 0.005, 3
"""What fills less than this share is no nearer than anything else; but some are always shown."""
_THICK = 0.62


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    bound = run.binding
    grown = [use for use in run.uses if use.grown]
    shown = [use for place, use in enumerate(grown) if place < FEWEST or use.highest.ratio > SLIGHT][:MOST]
    if not shown:
        return Absent(NAME, TITLE, "no ceiling was used any more than before the first instance")
    figure, axes = canvas(height=1.1 + 0.3 * len(shown))
    _bars(axes, shown, bound)
    _reserves(axes, shown)
    axes.set_yticks(range(len(shown)), [label(use.name, 32) for use in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 114)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("highest use, % of the limit", color=MUTED)
    axes.grid(visible=False)
    figure.legend(loc="outside upper left", ncols=4, handlelength=1.5, columnspacing=1, handletextpad=0.5)
    return Chart(NAME, TITLE, _says(next((use for use in shown if _is(use, bound)), shown[0])), figure)


def _is(use: Use, bound: tuple[str, str] | None) -> bool:
    return bound is not None and use.highest.ceiling == bound[0] and bound[1] in use.subjects


def _bars(axes: Axes, shown: list[Use], bound: tuple[str, str] | None) -> None:
    rows = range(len(shown))
    full = [100 * min(1.0, use.highest.ratio) for use in shown]
    binds = [_is(use, bound) for use in shown]
    axes.barh(rows, [100] * len(shown), height=_THICK, color=BAND)
    for word, colour, which in (("the nearest ceiling", RED, True), ("by the run", BLUE, False)):
        chosen = [row for row in rows if binds[row] is which]
        if chosen:
            axes.barh(chosen, [full[row] for row in chosen], height=_THICK, color=colour, label=word)
    axes.barh(rows, [100 * use.first.ratio for use in shown], height=_THICK, color=SLATE, label="before")
    for row, use in zip(rows, shown, strict=True):
        axes.text(101.5, row, f"{use.highest.ratio:.0%}", va="center", color=INK)


def _reserves(axes: Axes, shown: list[Use]) -> None:
    begins = [(1 - use.highest.reserve / use.highest.limit, row) for row, use in enumerate(shown)]
    seen = [(100 * share, row) for share, row in begins if share < _SEEN]
    if seen:
        axes.plot(*zip(*seen, strict=True), "|", color=INK, markersize=13, markeredgewidth=1.6, label="reserve")


def _says(use: Use) -> str:
    reading = use.highest
    unit = BY_ID[reading.ceiling].unit
    return (
        f"{use.name} was at most at {format_value(reading.used, unit)} "
        f"of {format_value(reading.limit, unit)} ({reading.ratio:.1%})."
    )
