"""A ceiling that could not be read is named in the report, with the reason."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from metrics.observed import beginning, ending

from density.events import Event, HostSampled
from density.metrics.current import bounds_of_run
from density.report.checks import Check, checks
from density.report.history import collect
from density.report.recorded import Recorded
from density.report.result import result


def sensors_of(failures: Mapping[str, str], *, worked: bool) -> Check | None:
    """The check of sensors in the report of a run that ends with these failures; they worked before, or never did."""
    events: list[Event] = []
    for event in [*beginning(), *ending()]:
        if isinstance(event, HostSampled):
            failing = failures if event.at > 17 or not worked else {}
            gone = tuple(failures)
            values = {name: value for name, value in event.values.items() if not (failing and name.startswith(gone))}
            sensors = dict.fromkeys([*failures, "memory"], 1e-4)
            events.append(replace(event, values=values, sensors=sensors, failures=failing))
        else:
            events.append(event)
    state, history = collect(events)
    bounds = bounds_of_run(state)
    run = Recorded(state, history, bounds, result(state, bounds))
    return next((check for check in checks(run) if check.name == "Sensors"), None)


@pytest.mark.parametrize(("worked", "grade"), [(True, "doubtful"), (False, "fine")])
def test_a_ceiling_that_could_not_be_read_is_named(worked: bool, grade: str) -> None:  # noqa: FBT001 — a case
    """With why; where its sensor had worked, the run is doubtful, and where this host has no such thing, it is not."""
    check = sensors_of({"keys": "/proc/key-users: gone"}, worked=worked)
    assert check is not None
    assert check.grade == grade
    said = "".join(part if isinstance(part, str) else part.text for part in check.said)
    assert "keys.user" in said
    assert "/proc/key-users: gone" in said


def test_where_everything_was_read_there_is_nothing_to_say() -> None:
    """No row for what is as it should be."""
    assert sensors_of({}, worked=True) is None
