"""Forecast against truth: what each wave's forecast said of the ceiling that mattered in the end."""

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from density.capacity.capacities import is_measured
from density.report.charts.canvas import Absent, Chart, canvas, label, legend
from density.report.charts.palette import BLUE, INK, MUTED
from density.report.recorded import Recorded
from density.units import format_count

NAME, TITLE = "forecast", "Forecast against truth"
EARLY = 0.1
"""The forecast that the caption tells of is the first one made at this share of the final count, or later."""
_LABEL = 0.12
"""Share of the axis that a label under it takes."""
_TALL = 1.8
"""The axis ends at this many times the truth: the first intervals may be far wider."""


@dataclass(frozen=True, slots=True)
class Point:
    """What the forecast said with `at` instances ready, with its 95 % interval."""

    at: int
    count: float
    low: float
    high: float


def points(run: Recorded, key: tuple[str, str]) -> list[Point]:
    """The measured forecasts of one ceiling, in the order of their counts; the last one of each count."""
    found: dict[int, Point] = {}
    for guess in run.history.guesses:
        for one in guess.ceilings:
            if (one.ceiling, one.subject) == key and guess.count > 0 and is_measured(one):
                high = one.high if math.isfinite(one.high) else math.inf
                found[guess.count] = Point(guess.count, one.count, max(0.0, one.low), high)
    return [found[count] for count in sorted(found)]


def truth(run: Recorded, key: tuple[str, str]) -> int | None:
    """The count at which the ceiling really bound; None where it did not."""
    verdict = run.result["verdict"]
    bound = verdict and (verdict["ceiling"], verdict["subject"]) == key and run.result["outcome"] == "ceiling"
    return int(run.result["capacity"]["hard"]["count"]) if bound else None


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    key = run.binding
    known = points(run, key) if key else []
    if key is None or not known:
        return Absent(NAME, TITLE, "nothing was forecast: no use of any ceiling was measured to grow")
    reached = truth(run, key)
    figure, axes = canvas()
    at = [point.at for point in known]
    top = _TALL * (reached or known[-1].count)
    highs, lows = [min(point.high, 2 * top) for point in known], [point.low for point in known]
    if len(at) > 1:
        axes.fill_between(at, lows, highs, color=BLUE, alpha=0.18, linewidth=0, label="95% interval")
    else:
        axes.vlines(at, lows, highs, color=BLUE, alpha=0.4, linewidth=3, label="95% interval")
    axes.plot(at, [point.count for point in known], "o-", color=BLUE, markersize=4.5, label="forecast")
    if reached is not None:
        axes.axhline(reached, color=INK, linewidth=1.4, linestyle=(0, (5, 2)), label="reached")
    then = at if len(at) > 1 else [0, *at]
    axes.plot(then, then, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), label="ready then")
    axes.set_ylim(0, top)
    _log_counts(axes, at)
    axes.set_ylabel(label(f"count at which {key[0]} ends", 40))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))
    legend(axes)
    return Chart(NAME, TITLE, _says(known, key, reached), figure)


def _log_counts(axes: Axes, at: list[int]) -> None:
    """Waves double, so their counts are shown where each has its own place."""
    axes.set_xlabel("instances ready when it was made")
    if len(at) > 1:
        axes.set_xscale("log")
    apart = (at[-1] / at[0]) ** _LABEL
    marks = [at[-1]]
    for count in reversed(at[:-1]):
        if count * apart <= marks[-1]:
            marks.append(count)
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))


def _says(known: list[Point], key: tuple[str, str], reached: int | None) -> str:
    final = reached or known[-1].at
    early = next((point for point in known if point.at >= EARLY * final), known[-1])
    high = format_count(early.high) if math.isfinite(early.high) else "no bound"
    name = " ".join(part for part in key if part)
    said = (
        f"With {format_count(early.at)} ready, the forecast for {name} was {format_count(early.count)} "
        f"({format_count(early.low)} to {high})"
    )
    if reached is None:
        return f"{said}; it was not reached, so nothing says how true that was."
    return f"{said}; it bound at {format_count(reached)}."
