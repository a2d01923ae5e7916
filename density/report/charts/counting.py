"""Count over time: what was aimed at, what was ready, what failed."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from density.capacity.capacities import most_that_ran
from density.model import Phase
from density.report.charts.canvas import Absent, Chart, canvas, label, legend, time_axis, whole_numbers
from density.report.charts.palette import BAND, BLUE, MUTED, RED
from density.report.history import CANCELLED
from density.report.recorded import Recorded
from density.units import format_count, format_counted, format_seconds

NAME, TITLE = "count", "Count over time"
_POINTS = 500
_SHOWN = {"search": "search", "hold": "hold", "teardown": "removal"}
_WORDS_FROM = 0.07
"""A stage that took less than this share of the run has no room for its word."""

Steps = Sequence[tuple[float, int]]


def draw(run: Recorded) -> Chart | Absent:
    """The chart, or why there is none."""
    history, began = run.history, run.state.started_at
    if not history.counts or not run.state.peak.count:
        return Absent(NAME, TITLE, "no instance became ready")
    figure, axes = canvas()
    end = run.state.now - began
    times = [at - began for at, _ in thinned(history.counts, _POINTS)]
    counts = [count for _, count in thinned(history.counts, _POINTS)]
    axes.fill_between([*times, end], [*counts, counts[-1]], step="post", color=BLUE, alpha=0.18, linewidth=0)
    axes.step([*times, end], [*counts, counts[-1]], where="post", color=BLUE, linewidth=1.8, label="ready")
    _waves(axes, run)
    _failures(axes, run)
    _stages(axes, run, end)
    axes.set_ylabel("instances")
    whole_numbers(axes.yaxis)
    axes.set_xlim(0, end)
    axes.set_ylim(0, 1.12 * max(run.state.peak.count, *(wave.target for wave in history.waves)))
    time_axis(axes, end)
    legend(axes)
    return Chart(NAME, TITLE, _says(run), figure)


def thinned(steps: Steps, most: int) -> Steps:
    """At most about so many steps: the last of each equal part of the time, and the highest of all."""
    if len(steps) <= most:
        return steps
    first, last = steps[0][0], steps[-1][0]
    width = (last - first) / most or 1.0
    kept = {int((at - first) / width): (at, count) for at, count in steps}
    highest = max(steps, key=lambda step: step[1])
    return sorted({*kept.values(), highest})


def _waves(axes: Axes, run: Recorded) -> None:
    began, waves = run.state.started_at, run.history.waves
    ends = [*(wave.started_at for wave in waves[1:]), _ramp_end(run)]
    for index, (wave, end) in enumerate(zip(waves, ends, strict=True)):
        span = (wave.started_at - began, max(end, wave.started_at) - began)
        axes.plot(span, (wave.target,) * 2, color=MUTED, linewidth=1.1, linestyle=(0, (3, 2)),
                  label=None if index else "aimed at, wave by wave")  # fmt: skip


def _ramp_end(run: Recorded) -> float:
    return next((at for at, stage in run.history.stages if stage in ("hold", "teardown")), run.state.now)


def _failures(axes: Axes, run: Recorded) -> None:
    bad = (Phase.FAILED, Phase.LOST)
    ended = [(life.ended_at, life.failure) for life in run.history.lives.values() if life.phase in bad]
    times = sorted({round(at - run.state.started_at, 2) for at, why in ended
                    if at is not None and (why is None or why.kind != CANCELLED)})  # fmt: skip
    if times:
        axes.plot(times[-_POINTS:], [0] * len(times[-_POINTS:]), "x", color=RED, markersize=5, clip_on=False,
                  zorder=5, label="failed or lost")  # fmt: skip


def _stages(axes: Axes, run: Recorded, end: float) -> None:
    began, stages = run.state.started_at, run.history.stages
    for (at, stage), after in zip(stages, [*(at for at, _ in stages[1:]), run.state.now], strict=True):
        if stage in _SHOWN and after > at:
            axes.axvspan(at - began, after - began, color=BAND, linewidth=0, zorder=0)
            if after - at > _WORDS_FROM * end:
                middle = ((at + after) / 2 - began, 0.97)
                axes.text(*middle, label(_SHOWN[stage]), transform=axes.get_xaxis_transform(), ha="center", va="top",
                          color=MUTED)  # fmt: skip


def _says(run: Recorded) -> str:
    state, waves = run.state, len(run.history.waves)
    peak_at = next(at for at, count in run.history.counts if count == state.peak.count)
    said = (
        f"{format_counted(state.peak.count, 'instance was', 'instances were')} ready after "
        f"{format_seconds(peak_at - state.started_at)}, in {format_counted(waves, 'wave', 'waves')}."
    )
    ran = sum(most_that_ran(state).values())
    return f"{said} Deaths are told late: {format_count(ran)} of them really ran." if ran < state.peak.count else said
