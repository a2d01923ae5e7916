"""Reads the runs of a comparison."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from density.controller.paths import alive_runs
from density.controller.session import PROFILE
from density.documents import read_document
from density.errors import UsageError
from density.profile.problems import flat
from density.profile.toml import parse_toml
from density.report.compare.groups import Group, Run, launches
from density.report.recorded import read_run


def read_groups(directories: Sequence[Sequence[Path]]) -> list[Group]:
    """The runs in these directories; each inner sequence is a group.

    Raises:
        UsageError: fewer than two groups, a run that is named twice, or no record.
        RecordError: a damaged record.
    """
    if len(directories) < 2:
        raise UsageError("a comparison needs two runs or more: the baseline, then what is held against it")
    alive = alive_runs()
    groups = [[_read(directory, alive) for directory in group] for group in directories]
    seen: set[str] = set()
    for run in (run for group in groups for run in group):
        if run.run_id in seen:
            raise UsageError(f"run {run.run_id} is named twice")
        seen.add(run.run_id)
    return [tuple(group) for group in groups]


def _read(directory: Path, alive: Container[str]) -> Run:
    recorded = read_run(directory)
    goes_on = not recorded.whole and recorded.state.run_id in alive
    return Run(recorded, _settings(directory / PROFILE), launches(recorded.history), goes_on)


def _settings(path: Path) -> Mapping[str, object]:
    """Every key of the profile as it was used, with the defaults, by dotted keys; empty where it cannot be read."""
    try:
        return dict(flat(parse_toml(read_document(path))))
    except (OSError, ValueError):
        return {}
