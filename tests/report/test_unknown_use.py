"""A verdict whose use nobody knows, as reports show it."""

from dataclasses import replace
from pathlib import Path

from support.recorded_runs import events_of, record

from density.events import Event, InstanceChanged, Stopped
from density.model import Failure, OwnLimit
from density.report.html import page
from density.report.markdown import markdown
from density.report.recorded import read_run

FAILED = Failure("exited", "ended", ("Too many open files",), 1, own_limits=(OwnLimit("files.instance", None, 64.0),))


def _at_its_own_limit(event: Event) -> Event:
    if isinstance(event, InstanceChanged) and event.failure:
        return replace(event, failure=FAILED)
    if isinstance(event, Stopped):
        return replace(event, ceiling="files.instance", subject="web", by_failures=True)
    return event


def test_the_limit_is_told_alone(tmp_path: Path) -> None:
    """No page has a use of none, and each has the limit."""
    run = read_run(record([_at_its_own_limit(event) for event in events_of("all-failed")], tmp_path / "run"))
    assert run.result["verdict"]["used"] is None
    for shown in (markdown(run), page(run)):
        assert "a limit of " in shown
        assert "0 of 64" not in shown
        assert "None" not in shown
