"""`density runs`."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import click

from density.cli.output import put
from density.cli.tables import table
from density.controller.paths import RECORD, alive_runs
from density.controller.paths import runs_dir as default_directory
from density.controller.session import PROFILE, RESULT
from density.errors import RecordError, UsageError
from density.log import NAME as LOG
from density.record.result import KeptResult, read_result


@dataclass(frozen=True, slots=True)
class Row:
    """A run as it is listed; `started` is UNIX seconds, `problem` says why the rest may be missing."""

    run_id: str
    directory: str
    started: float
    profile: str = ""
    outcome: str = ""
    capacity: int | None = None
    ceiling: str = ""
    problem: str = ""


@click.command("runs")
@click.option("--runs-dir", type=click.Path(path_type=Path), help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def command(runs_dir: Path | None, *, as_json: bool) -> None:
    """List the runs so far, the newest first."""
    directory = runs_dir or default_directory()
    rows = list_runs(directory, alive=alive_runs())
    if as_json:
        text = json.dumps([asdict(row) for row in rows], indent=2)
    elif rows:
        head = ("RUN", "STARTED", "PROFILE", "OUTCOME", "HARD", "CEILING")
        text = table(head, [_cells(row) for row in rows])
    else:
        text = f"no runs in {directory.absolute()}"
    put(text + "\n", None)


def list_runs(directory: Path, *, alive: set[str]) -> list[Row]:
    """The runs kept in a directory, the newest first; one that is damaged says so.

    Raises:
        UsageError: it is no directory, or cannot be read.
    """
    try:
        found = [_row(path, alive=path.name in alive) for path in directory.iterdir() if is_run(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{directory} cannot be read: {error.strerror}; runs are kept in a directory") from error
    return sorted(found, key=lambda row: (row.started, row.run_id), reverse=True)


def is_run(path: Path) -> bool:
    """Whether a directory holds what a run keeps, or a part of it."""
    return any((path / name).exists() for name in (RESULT, RECORD, PROFILE, LOG))


def _row(path: Path, *, alive: bool) -> Row:
    started = path.stat().st_mtime
    try:
        return _of_result(read_result(path / RESULT), path)
    except FileNotFoundError:
        outcome, problem = ("running", "") if alive else ("cut off", _cut_off(path))
    except RecordError as error:
        outcome, problem = "unknown", str(error)
    return Row(path.name, str(path), started, outcome=outcome, problem=problem)


def _cut_off(path: Path) -> str:
    """Why there is no result, and where to look for more."""
    return f"no {RESULT}; see {LOG}" if (path / LOG).exists() else f"no {RESULT}"


def _of_result(result: KeptResult, path: Path) -> Row:
    return Row(
        run_id=result.run_id,
        directory=str(path),
        started=result.started,
        profile=result.profile,
        outcome=result.outcome,
        capacity=result.capacity.hard.count,
        ceiling=result.verdict.ceiling if result.verdict else "",
    )


def _cells(row: Row) -> tuple[str, ...]:
    when = ""
    with suppress(ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(row.started).astimezone().strftime("%Y-%m-%d %H:%M")
    count = "" if row.capacity is None else str(row.capacity)
    return row.run_id, when, row.profile, row.outcome, count, row.ceiling or row.problem
