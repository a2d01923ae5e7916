"""What a record may hold: names that the run began with, ceilings that there are, numbers that can be."""

import json
import math
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from support.fuzzing import bodies, density, put_record
from support.recorded_runs import events_of, record

from density.controller.paths import RECORD
from density.errors import RecordError
from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    Held,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    Stopped,
    WaveSettled,
    WaveStarted,
    WorkloadPrepared,
    WorkloadSkipped,
)
from density.model import Phase, Workload
from density.record import read_events
from density.record.consistency import Consistency
from density.record.schema import EVENTS, SCHEMA_VERSION
from density.report.result import FIGURES

START = RunStarted(0.0, "r1", 1.7e9, "0", "p", "safe", (Workload(name="web", engine="native"),), 10)
REQUEST = InstanceChanged(1.0, "web-1", "web", Phase.REQUESTED)
FORECAST = CeilingForecast("tasks.pid_max", "", 1.0, 2.0, 0.0, math.inf, 1.0, math.inf)

FINE: list[list[Event]] = [
    [START, REQUEST, Forecasted(1.0, (FORECAST,)), HostSampled(2.0, {"a": math.nan, "b": math.inf}, 0.1)],
    [START, WorkloadSkipped(0.0, "web", "no KVM")],
    [START, WorkloadPrepared(0.0, "web", "", {"br0": 2**64 - 2}, 0.1, {"wide": 2**96})],
]
WRONG: dict[str, list[Event]] = {
    "no such workload": [START, replace(REQUEST, workload="wbe")],
    "no workload at all": [REQUEST],
    "a wave of another workload": [START, WaveStarted(1.0, 1, {"wbe": 1}, 1)],
    "counts of another workload": [START, WaveSettled(1.0, 1.0, 1, {"wbe": 1}, {}, {})],
    "a hold of another workload": [START, Held(1.0, {"web": 1}, {"wbe": 1}, (), True)],  # noqa: FBT003
    "a ping of another workload": [START, ProbeMeasured(1.0, "x", "wbe", 0.1)],
    "an instance of two workloads": [
        replace(START, workloads=(*START.workloads, Workload(name="db", engine="native"))),
        REQUEST,
        replace(REQUEST, workload="db"),
    ],
    "an instance of a skipped workload": [START, WorkloadSkipped(0.0, "web", ""), REQUEST],
    "a skipped workload with an instance": [START, REQUEST, WorkloadSkipped(0.0, "web", "")],
    "two starts": [START, START],
    "two workloads of a name": [replace(START, workloads=2 * START.workloads)],
    "no share": [replace(START, workloads=(replace(START.workloads[0], share=0.0),))],
    "no workloads": [replace(START, workloads=())],
    "a required capacity that is none": [replace(START, required={"sho": 1})],
    "no id": [replace(START, run_id="")],
    "no such ceiling": [START, Stopped(1.0, "ceiling", "full", "tasks.pid_mix")],
    "a forecast of no ceiling": [START, Forecasted(1.0, (replace(FORECAST, ceiling="x"),))],
    "a date no calendar has": [replace(START, wall=1e18)],
    "no moment": [START, replace(REQUEST, at=math.nan)],
    "a moment beyond any run": [START, replace(REQUEST, at=1e300)],
    "a negative count": [START, WaveStarted(1.0, 1, {"web": -1}, 1)],
    "a count with 400 digits": [START, WaveStarted(1.0, 10**400, {"web": 1}, 1)],
    "a value whose square is none": [START, HostSampled(1.0, {"a": 1e308}, 0.1)],
}


@pytest.mark.parametrize("events", FINE)
def test_what_runs_emit_passes(events: list[Event]) -> None:
    """Infinite and unknown values too."""
    consistency = Consistency()
    for event in events:
        consistency.check(event)


@pytest.mark.parametrize("case", WRONG)
def test_what_no_run_emits_does_not(case: str) -> None:
    """The last event is the one that cannot be."""
    *before, last = WRONG[case]
    consistency = Consistency()
    for event in before:
        consistency.check(event)
    with pytest.raises(ValueError, match=r"\w"):
        consistency.check(last)


def test_every_recorded_run_passes(tmp_path: Path) -> None:
    """Also the one with hostile names and that of real engines."""
    for name in ("ceiling", "hostile", "real", "interrupted", "objective"):
        events = events_of(name)
        assert list(read_events(record(events, tmp_path / name) / RECORD)) == list(events)


def test_every_kind_of_event_has_its_figures() -> None:
    """What a record lacks can be said of each."""
    assert FIGURES.keys() == {kind.__dataclass_fields__["kind"].default for kind in get_args(Event)}


def test_a_table_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    """A view under its name may never come to an end."""
    path = tmp_path / RECORD
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE VIEW event AS WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n) "
        "SELECT seq, 'x' AS body FROM n"
    )
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.close()
    with pytest.raises(RecordError, match="its table of events is another one"):
        next(read_events(path))
    assert EVENTS.startswith("CREATE TABLE event")


def test_a_description_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A turned bit in the words by which SQLite knows the table of events."""
    path = record(events_of("max"), tmp_path / "r") / RECORD
    path.write_bytes(path.read_bytes().replace(b"-- the order", b"-- the \xce\x20der"))
    with pytest.raises(RecordError):
        next(read_events(path))


def test_a_pipe_beside_a_record_does_not_block(tmp_path: Path) -> None:
    """SQLite would open it, and wait for its other end."""
    run = record(events_of("max"), tmp_path / "r")
    os.mkfifo(run / f"{RECORD}-journal")
    with pytest.raises(RecordError, match="not a file"):
        next(read_events(run / RECORD))


COMMANDS = [["report"], ["export"], ["plan", "--demand", "web=1"], ["watch"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_record_with_a_changed_name_is_one_sentence(command: list[str], tmp_path: Path) -> None:
    """Exit code 2 in every command that reads one, where there was a KeyError from deep inside."""
    kept = bodies(events_of("max"))
    at = next(number for number, body in enumerate(kept) if '"phase":"ready"' in body)
    kept[at] = json.dumps(json.loads(kept[at]) | {"workload": "wbe"})
    (tmp_path / "r").mkdir()
    put_record(tmp_path / "r" / RECORD, kept)
    name, *options = command
    code, said = density(name, str(tmp_path / "r"), *options)
    assert code == 2
    assert said.count("\n") == 1
    assert "wbe" in said
