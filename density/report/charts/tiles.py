"""A heat map of instances: a tile each, in the order of their launches, coloured by time to ready or by failure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from density.model import Phase
from density.report.charts.canvas import Absent, Chart, canvas
from density.report.charts.palette import HEAT, PURPLE, RED, SLATE, SURFACE
from density.report.history import CANCELLED, Life
from density.report.recorded import Recorded
from density.statistics import quantile
from density.units import format_count, format_seconds

NAME, TITLE = "tiles", "Every instance, in the order of launch"
MOST = 10_000
"""With more instances, a tile stands for several: the page is to stay small."""
_WIDE = 2.2
"""Columns for each row, about the shape of the picture."""
_GAP = 0.12
FAILED, LOST, UNDONE = "failed", "lost", "not finished"
_ENDS = {FAILED: RED, LOST: PURPLE, UNDONE: SLATE}


@dataclass(frozen=True, slots=True)
class Tile:
    """One instance, or several in a row: the slowest of their times to ready, or the end of one that had none."""

    seconds: float | None
    end: str = ""


def tile(life: Life) -> Tile:
    """What a tile shows of an instance."""
    if life.phase is Phase.LOST:
        return Tile(life.ready_seconds, LOST)
    if life.phase is Phase.FAILED and not (life.failure and life.failure.kind == CANCELLED):
        return Tile(None, FAILED)
    return Tile(life.ready_seconds) if life.ready_seconds is not None else Tile(None, UNDONE)


def tiles(lives: Sequence[Life], most: int = MOST) -> tuple[list[Tile], int]:
    """At most so many tiles, and how many instances each stands for."""
    each = max(1, math.ceil(len(lives) / most))
    single = [tile(life) for life in sorted(lives, key=lambda life: life.number)]
    groups = [single[start : start + each] for start in range(0, len(single), each)]
    return [_worst(group) for group in groups], each


def _worst(group: Sequence[Tile]) -> Tile:
    ends = [tile for end in _ENDS for tile in group if tile.end == end]
    return ends[0] if ends else max(group, key=lambda tile: tile.seconds or 0.0)


def edges(seconds: Sequence[float]) -> list[float]:
    """Upper bounds of the classes of time to ready, in seconds: equal steps of the logarithm, from p5 to p95."""
    low, high = quantile(seconds, 0.05), quantile(seconds, 0.95)
    low = max(low, 1e-6)
    steps = len(HEAT)
    if high <= 1.05 * low:
        return [max(seconds)]
    inner = [low * (high / low) ** (step / (steps - 1)) for step in range(steps - 1)]
    return [*(_round(edge) for edge in inner), max(seconds)]


def _round(value: float) -> float:
    return float(f"{value:.2g}")


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    lives = list(run.history.lives.values())
    if not lives:
        return Absent(NAME, TITLE, "no instance was launched")
    shown, each = tiles(lives)
    figure, axes = canvas()
    ready = [tile.seconds for tile in shown if not tile.end and tile.seconds is not None]
    bounds = edges(ready) if ready else []
    columns = max(1, math.ceil(math.sqrt(len(shown) * _WIDE)))
    handles = _paint(axes, shown, bounds, columns)
    axes.set_xlim(0, columns)
    axes.set_ylim(math.ceil(len(shown) / columns), 0)
    axes.set_aspect("equal", anchor="NW")
    axes.set_axis_off()
    figure.legend(handles=handles, loc="outside lower left", ncols=4, handlelength=1, handleheight=1,
                  columnspacing=1.2)  # fmt: skip
    return Chart(NAME, TITLE, _says(run, each), figure)


def _paint(axes: Axes, shown: Sequence[Tile], bounds: Sequence[float], columns: int) -> list[Patch]:
    """One path a colour: thousands of tiles are then no more than their corners."""
    places: dict[str, list[int]] = {}
    for place, tile in enumerate(shown):
        places.setdefault(tile.end or f"{_class(tile.seconds or 0.0, bounds)}", []).append(place)
    for name, members in places.items():
        colour = _ENDS[name] if name in _ENDS else _shades(len(bounds))[int(name)]
        axes.add_patch(PathPatch(_squares(members, columns), facecolor=colour, edgecolor="none", linewidth=0))
        if name in (FAILED, LOST):
            strokes = _strokes(members, columns, both=name == FAILED)
            axes.add_patch(PathPatch(strokes, facecolor="none", edgecolor=SURFACE, linewidth=1))
    below = [f"up to {format_seconds(edge)}" for edge in bounds]
    shades = _shades(len(bounds))
    handles = [Patch(color=shades[n], label=word) for n, word in enumerate(below) if str(n) in places]
    return handles + [Patch(color=colour, label=end) for end, colour in _ENDS.items() if end in places]


def _shades(classes: int) -> Sequence[str]:
    return HEAT[2:3] if classes == 1 else HEAT


def _class(seconds: float, bounds: Sequence[float]) -> int:
    return next((n for n, edge in enumerate(bounds) if seconds <= edge), len(bounds) - 1)


def _squares(members: Sequence[int], columns: int) -> Path:
    corners = [(0, 0), (1 - _GAP, 0), (1 - _GAP, 1 - _GAP), (0, 1 - _GAP), (0, 0)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return _compound(members, columns, corners, codes)


def _strokes(members: Sequence[int], columns: int, *, both: bool) -> Path:
    """A cross or half of one, for eyes that do not tell the colours apart."""
    near, far = 0.25, 0.75 - _GAP / 2
    corners = [(near, far), (far, near), (near, near), (far, far)]
    codes = [Path.MOVETO, Path.LINETO, Path.MOVETO, Path.LINETO]
    return _compound(members, columns, corners if both else corners[:2], codes if both else codes[:2])


def _compound(
    members: Sequence[int], columns: int, corners: list[tuple[float, float]], codes: Sequence[np.uint8]
) -> Path:
    points = [(n % columns + x, n // columns + y) for n in members for x, y in corners]
    return Path(points, [*codes] * len(members))


def _says(run: Recorded, each: int) -> str:
    workloads = run.result["workloads"].values()
    ready, failed, lost = (sum(workload[key] for workload in workloads) for key in ("ready", "failed", "lost"))
    several = f" A tile stands for {each} instances, by the worst of them." if each > 1 else ""
    slowest = max((max(w.ready_seconds) for w in run.state.workloads.values() if w.ready_seconds), default=None)
    slow = f", the slowest after {format_seconds(slowest)}" if slowest is not None else ""
    ended = f"failed: {format_count(failed)}, lost: {format_count(lost)}"
    return f"{format_count(ready)} became ready{slow}; {ended}.{several}"
