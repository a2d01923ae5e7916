"""Where an instance's memory goes, as stacked bars."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from density.report.charts.canvas import Absent, Chart, canvas, label, legend
from density.report.charts.palette import INK, SERIES, SURFACE
from density.report.recorded import Recorded
from density.report.result import Document
from density.units import format_bytes

NAME, TITLE = "footprint", "Memory of one more instance"
PARTS = {
    "memory.instance": "itself",
    "memory.engine": "engine",
    "memory.kernel": "kernel",
    "memory.tester": "tester",
}
WHOLE = "memory.available"
MIB = 2**20


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    footprints = {name: each["footprint"] for name, each in run.result["workloads"].items()}
    shown = {name: costs for name, costs in footprints.items() if _whole(costs) or _parts(costs)}
    if not shown:
        return Absent(NAME, TITLE, "too few waves came to rest to tell what memory an instance takes")
    figure, axes = canvas(height=1.5 + 0.55 * len(shown))
    rows = list(range(len(shown)))
    left = [0.0] * len(shown)
    for (part, word), colour in zip(PARTS.items(), SERIES, strict=True):
        sizes = [_parts(costs).get(part, 0.0) / MIB for costs in shown.values()]
        if any(sizes):
            axes.barh(rows, sizes, left=left, height=0.5, color=colour, edgecolor=SURFACE, linewidth=1, label=word)
        left = [start + size for start, size in zip(left, sizes, strict=True)]
    _by_free_memory(axes, [_whole(costs) for costs in shown.values()])
    axes.set_yticks(rows, [label(name) for name in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("MiB")
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    legend(axes, columns=5)
    return Chart(NAME, TITLE, _says(shown), figure)


def _parts(costs: Document) -> Mapping[str, float]:
    """Bytes of each part that is more than noise."""
    return {part: cost["value"] for part in PARTS if (cost := _clear(costs, part))}


def _whole(costs: Document) -> Document | None:
    """What the host's free memory says, where that is more than noise."""
    return _clear(costs, WHOLE)


def _clear(costs: Document, name: str) -> Document | None:
    cost = costs.get(name)
    return cost if cost and None not in cost.values() and cost["low"] > 0 else None


def _by_free_memory(axes: Axes, wholes: Sequence[Document | None]) -> None:
    known = [(row, whole) for row, whole in enumerate(wholes) if whole]
    if known:
        values = [whole["value"] / MIB for _, whole in known]
        errors = [[(whole["value"] - whole["low"]) / MIB for _, whole in known],
                  [(whole["high"] - whole["value"]) / MIB for _, whole in known]]  # fmt: skip
        axes.errorbar(values, [row for row, _ in known], xerr=errors, fmt="D", color=INK, markersize=5, capsize=3,
                      linewidth=1.2, label="by free memory")  # fmt: skip


def _says(shown: Mapping[str, Document]) -> str:
    said = []
    for name, costs in shown.items():
        whole = _whole(costs)
        parts = sum(_parts(costs).values())
        differ = whole and parts and not whole["low"] <= parts <= whole["high"]
        by_parts = f", by its parts {format_bytes(parts)}" if differ else ""
        said.append(f"{label(name, 60)} takes {format_bytes(whole['value'] if whole else parts)}{by_parts}")
    split = any(_parts(costs) for costs in shown.values())
    tail = " Parts and whole are measured apart." if split else " Whose it is could not be told."
    return f"One more {', one more '.join(said)}.{tail}"
