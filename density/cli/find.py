"""From what a person calls a run to its directory."""

from difflib import get_close_matches
from pathlib import Path

from density.controller.paths import RECORD
from density.controller.paths import runs_dir as default_runs_dir
from density.errors import UsageError
from density.units import format_some

LATEST = "latest"


def find_run(run: str, runs_dir: Path | None) -> Path:
    """The directory of a run, which has a record.

    Args:
        run: a directory, the id of a run in `runs_dir`, or `latest`: the one that was started last.
        runs_dir: where runs are kept; None: the default.

    Raises:
        UsageError: there is no such run.
    """
    try:
        return _find(run, runs_dir or default_runs_dir())
    except PermissionError as error:
        raise UsageError(f"{error.filename} cannot be looked at: {error.strerror}") from error


def _find(run: str, directory: Path) -> Path:
    ids = _ids(directory)
    if run == LATEST:
        if not ids:
            raise UsageError(f"there are no runs in {directory.absolute()}; --runs-dir says where they are kept")
        return directory / ids[-1]
    for path in (Path(run), directory / run):
        if (path / RECORD).is_file():
            return path
    for path in (Path(run), directory / run):
        if parts := _ids(path):
            raise UsageError(f"{run} holds several runs; name one: {format_some([str(path / part) for part in parts])}")
    near = get_close_matches(run, ids, n=1)
    hint = f"did you mean {near[0]}?" if near else "`density runs` lists those that are there"
    raise UsageError(f"there is no run {run}, neither as a directory nor in {directory.absolute()}; {hint}")


def _ids(directory: Path) -> list[str]:
    """Runs in it with a record, the last one started at the end: an id begins with the time of its start."""
    return sorted(path.parent.name for path in directory.glob(f"*/{RECORD}"))
