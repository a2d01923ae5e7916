"""The run as three tables for other programs: instances, samples of the host, waves."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping

from density.report.history import Life, Wave
from density.report.recorded import Recorded
from density.statistics import quantile
from density.text import visible

Cell = str | float | int | None
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_files(run: Recorded) -> Mapping[str, str]:
    """File name -> contents. Times are seconds since the run's start, durations too; what never came is empty."""
    return {f"{name}.csv": _written(make(run)) for name, make in _TABLES.items()}


def _written(rows: Iterable[Iterable[Cell]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([_safe(cell) for cell in row] for row in rows)
    return file.getvalue()


def _safe(cell: Cell) -> Cell:
    """Words that a spreadsheet would take for a formula get a quote in front, which it shows as text."""
    if not isinstance(cell, str):
        return cell
    return f"'{visible(cell)}" if cell.startswith(_FORMULA) else visible(cell)


def _instances(run: Recorded) -> Iterator[Iterable[Cell]]:
    began = run.state.started_at
    yield ("instance", "workload", "wave", "phase", "requested_at", "created_at", "started_at", "ready_at", "ended_at",
           "ready_seconds", "failure_kind", "failure_message")  # fmt: skip
    for life in run.history.lives.values():
        yield _instance(life, began, run.history.waves)


def _instance(life: Life, began: float, waves: list[Wave]) -> Iterator[Cell]:
    yield from (life.instance_id, life.workload)
    yield waves[life.wave].number if 0 <= life.wave < len(waves) else None
    yield life.phase.value
    for at in (life.requested_at, life.created_at, life.started_at, life.ready_at, life.ended_at):
        yield None if at is None else at - began
    yield life.ready_seconds
    yield life.failure.kind if life.failure else None
    yield life.failure.message if life.failure else None


def _samples(run: Recorded) -> Iterator[Iterable[Cell]]:
    names = sorted({name for sample in run.history.samples for name in sample.values})
    yield ("at", "cost_seconds", *names)
    for sample in run.history.samples:
        values = (sample.values.get(name) for name in names)
        yield (sample.at - run.state.started_at, sample.cost_seconds, *values)


def _waves(run: Recorded) -> Iterator[Iterable[Cell]]:
    workloads = list(run.state.workloads)
    yield ("wave", "stage", "started_at", "settled_at", "target", "size", *(f"size_{name}" for name in workloads),
           "ready", "failed", "lost", "alive", *(f"alive_{name}" for name in workloads),
           "ready_p50_seconds", "ready_p95_seconds", "ready_p99_seconds", "ready_per_second")  # fmt: skip
    for wave in run.history.waves:
        yield _wave(wave, run.state.started_at, workloads)


def _wave(wave: Wave, began: float, workloads: list[str]) -> Iterator[Cell]:
    settled, ready = wave.settled, wave.ready_seconds
    yield from (wave.number, wave.stage, wave.started_at - began, settled.at - began if settled else None, wave.target)
    yield from (sum(wave.sizes.values()), *(wave.sizes.get(name, 0) for name in workloads))
    yield from (len(ready), wave.failed, wave.lost)
    yield wave.alive
    yield from (settled.counts.get(name, 0) if settled else None for name in workloads)
    yield from (quantile(ready, q) if ready else None for q in (0.5, 0.95, 0.99))
    yield wave.rate


_TABLES: Mapping[str, Callable[[Recorded], Iterator[Iterable[Cell]]]] = {
    "instances": _instances,
    "samples": _samples,
    "waves": _waves,
}
