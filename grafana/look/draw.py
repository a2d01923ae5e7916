"""A picture of a dashboard: each panel where its grid has it, drawn from what it holds."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from PIL import Image

from grafana.look.answers import Answers, Cell, Named, by_threshold, named, properties, rows
from grafana.look.shown import shown

COLUMNS = 24
FIGURE_DPI, PICTURE_DPI, PICTURE_COLORS = 100, 80, 96
LETTERS_A_COLUMN, NAMED_AT_MOST = 8, 8
"""What a legend has room for; where there is more, so many series get their name beside them."""
COLUMN_INCHES, ROW_INCHES = 0.58, 0.36
BACK, PANEL, TEXT, FAINT = "#111217", "#181b1f", "#ccccdc", "#6e7380"
Moments = Sequence[tuple[float, str]]
"""What the annotations mark: UNIX seconds and text."""


def draw(document: Mapping[str, Any], held: Mapping[int, Answers], moments: Moments, path: Path) -> None:
    """Draw a dashboard from the answers of its panels (by id), as a PNG."""
    panels = document["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure(figsize=(COLUMNS * COLUMN_INCHES, height * ROW_INCHES + 0.4), facecolor=BACK, dpi=FIGURE_DPI)
    inches = figure.get_figheight()
    figure.text(0.006, 1 - 0.27 / inches, document["title"], color=TEXT, fontsize=12, weight="bold")
    for panel in panels:
        place = panel["gridPos"]
        top = 0.4 + place["y"] * ROW_INCHES
        box = (
            place["x"] / COLUMNS + 0.002,
            1 - (top + place["h"] * ROW_INCHES - 0.04) / inches,
            place["w"] / COLUMNS - 0.004,
            (place["h"] * ROW_INCHES - 0.06) / inches,
        )
        _panel(figure, panel, held[panel["id"]], moments, box)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=PICTURE_DPI, facecolor=BACK)
    Image.open(drawn).convert("RGB").quantize(PICTURE_COLORS).save(path, optimize=True)


def _panel(
    figure: Figure, panel: Mapping[str, Any], answers: Answers, moments: Moments, box: tuple[float, float, float, float]
) -> None:
    left, bottom, width, height = box
    frame = figure.add_axes(box, facecolor=PANEL)
    frame.set(xticks=[], yticks=[])
    for side in frame.spines.values():
        side.set_color("#2c3035")
    inch = 1 / figure.get_figheight()
    figure.text(left + 0.006, bottom + height - 0.2 * inch, panel["title"], color=TEXT, fontsize=8.5, weight="bold")
    inner = (left + 0.045, bottom + 0.42 * inch, width - 0.058, height - 0.75 * inch)
    if panel["type"] in _FLAT:
        inner = (left + 0.008, bottom + 0.06 * inch, width - 0.016, height - 0.36 * inch)
    axes = figure.add_axes(inner, facecolor=PANEL)
    axes.tick_params(colors=FAINT, labelsize=7, length=2)
    for side in axes.spines.values():
        side.set_visible(False)
    _KINDS[panel["type"]](axes, panel, answers)
    if panel["type"] == "timeseries":
        for at, _ in moments:
            axes.axvline(at, color="#CC79A7", linewidth=0.6, linestyle=":", alpha=0.8, zorder=0)


def _lines(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    series = named(panel, answers)
    if series and custom.get("stacking", {}).get("mode") == "normal":
        _stack(axes, series)
    else:
        for one in series:
            draw_one = partial(axes.step, where="post", linestyle="--") if one.dashed else axes.plot
            width = properties(panel, one.name).get("custom.lineWidth", custom["lineWidth"]) * 0.7
            draw_one(one.series.times, one.series.values, color=one.color, linewidth=width, label=one.name)
    if custom.get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif "min" in defaults:
        axes.set_ylim(bottom=0)
        axes.set_yticks(_ticks(axes.get_ylim()[1], defaults["unit"]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, defaults["unit"])))
    axes.xaxis.set_major_formatter(_CLOCK)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=True, color="#2c3035", linewidth=0.5)
    if 0 < sum(len(one.name) + 6 for one in series) <= LETTERS_A_COLUMN * panel["gridPos"]["w"]:
        _legend(axes, panel)
    else:
        _name_highest(axes, series)


def _stack(axes: Axes, series: Sequence[Named]) -> None:
    times = sorted({at for one in series for at in one.series.times})
    values = [
        [dict(zip(one.series.times, one.series.values, strict=True)).get(at, 0.0) for at in times] for one in series
    ]
    axes.stackplot(times, values, colors=[one.color for one in series], labels=[one.name for one in series], alpha=0.85)


def _heat(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    """Buckets are cumulative: each row is what its bound has more than the one below."""
    by_bound = {float(series.labels["le"]): series for _, many in answers for series in many}
    bounds = sorted(bound for bound in by_bound if np.isfinite(bound))
    times = sorted({at for series in by_bound.values() for at in series.times})
    table = [
        [dict(zip(by_bound[b].times, by_bound[b].values, strict=True)).get(at, 0.0) for at in times] for b in bounds
    ]
    cells = np.diff(np.array(table), axis=0, prepend=0).clip(min=0)
    cells[cells == 0] = np.nan
    axes.pcolormesh(times, range(len(bounds)), cells, cmap="cividis", norm=colors.PowerNorm(0.5))
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.set_yticks(range(len(bounds)), [shown(bound, unit) for bound in bounds])
    axes.xaxis.set_major_formatter(_CLOCK)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _number(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    axes.set_axis_off()
    defaults = panel["fieldConfig"]["defaults"]
    series = named(panel, answers)
    text, color = str(defaults.get("noValue", "–")), FAINT
    if series:
        last = series[-1].series.last
        texts = defaults.get("mappings") or [{"options": {}}]
        text = texts[0]["options"].get(f"{last:g}", {}).get("text") or shown(
            last, defaults["unit"], defaults.get("decimals")
        )
        text = series[-1].name if panel["options"]["textMode"] == "name" else text
        color = TEXT if panel["options"]["colorMode"] == "none" else series[-1].color
    axes.text(0.5, 0.45, text, color=color, fontsize=17, ha="center", va="center", weight="bold")


def _bars(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    series = named(panel, answers)
    for place, one in enumerate(series):
        axes.barh(place, one.series.last, color=one.color, height=0.5)
        axes.text(0, place + 0.3, f"{one.name}  {shown(one.series.last, unit)}", color=TEXT, fontsize=8, va="bottom")
    axes.set_ylim(-0.6, max(2.5, len(series) + 0.3))
    axes.set_xlim(0, panel["fieldConfig"]["defaults"].get("max"))
    axes.set_axis_off()


def _groups(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    headings, found = rows(panel, answers)
    places = np.arange(len(found))
    width = 0.75 / (len(headings) - 1)
    for number, heading in enumerate(headings[1:]):
        values = [float(row[number + 1] or 0) for row in found]
        color = properties(panel, heading)["color"]["fixedColor"]
        drawn = axes.bar(places + number * width, values, width * 0.92, color=color, label=heading)
        axes.bar_label(drawn, [f"{value:,.0f}" for value in values], color=TEXT, fontsize=7)
    axes.set_xticks(places + width, [str(row[0]) for row in found])
    _legend(axes, panel)


def _table(axes: Axes, panel: Mapping[str, Any], answers: Answers) -> None:
    axes.set_axis_off()
    headings, found = rows(panel, answers)
    fits = int(axes.get_window_extent().height / FIGURE_DPI / 0.19) - 1
    widths = [
        max(len(text) for text in (heading, *column)) + 2 for heading, column in _columns(panel, headings, found[:fits])
    ]
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]]) / max(sum(widths), 1)
    for place, (heading, column) in enumerate(_columns(panel, headings, found[:fits])):
        axes.text(starts[place], 1, heading, color="#6E9FFF", fontsize=7.5, va="top", transform=axes.transAxes)
        for line, text in enumerate(column):
            height = 1 - (line + 1) / (fits + 1)
            color = _cell_color(panel, heading, found[line][place])
            axes.text(starts[place], height, text, color=color, fontsize=7.5, va="top", transform=axes.transAxes)


def _columns(
    panel: Mapping[str, Any], headings: Sequence[str], found: Sequence[Sequence[Cell]]
) -> list[tuple[str, list[str]]]:
    return [(heading, [_cell(panel, heading, row[place]) for row in found]) for place, heading in enumerate(headings)]


def _cell(panel: Mapping[str, Any], heading: str, value: Cell) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    own = properties(panel, heading)
    return shown(value, own.get("unit", panel["fieldConfig"]["defaults"]["unit"]), own.get("decimals"))


def _cell_color(panel: Mapping[str, Any], heading: str, value: Cell) -> str:
    own = properties(panel, heading)
    return by_threshold(own, value) if "thresholds" in own and isinstance(value, float) else TEXT


def _ticks(top: float, unit: str) -> list[float]:
    """Round ones, also where the unit goes by powers of two."""
    size = 2.0 ** (10 * int(math.log2(max(top, 1)) // 10)) if unit == "bytes" else 1.0
    return [float(tick) * size for tick in MaxNLocator(5).tick_values(0, top / size) if tick * size <= top]


def _name_highest(axes: Axes, series: Sequence[Named]) -> None:
    """Names beside the lines, where there are too many for a legend; Grafana shows them under the pointer."""
    for one in sorted(series, key=lambda one: max(one.series.values), reverse=True)[:NAMED_AT_MOST]:
        place = int(np.argmax(one.series.values))
        axes.text(one.series.times[place], one.series.values[place], one.name, color=TEXT, fontsize=6.5, va="bottom")


def _legend(axes: Axes, panel: Mapping[str, Any]) -> None:
    height = panel["gridPos"]["h"] * ROW_INCHES
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.2 / (height - 0.75)),
        ncols=max(2, panel["gridPos"]["w"] // 2),
        frameon=False,
        labelcolor=TEXT,
        fontsize=7,
        handlelength=1.2,
        columnspacing=1,
    )


_CLOCK = FuncFormatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}")
_FLAT = {"stat", "table", "bargauge"}
_KINDS: Mapping[str, Callable[[Axes, Mapping[str, Any], Answers], None]] = {
    "timeseries": _lines,
    "heatmap": _heat,
    "stat": _number,
    "bargauge": _bars,
    "barchart": _groups,
    "table": _table,
}
