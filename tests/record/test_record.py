"""The record on a real disk: whole, readable at any time, and no danger to the run."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from density.errors import DensityError, UsageError
from density.events import (
    Event,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    Warned,
    WaveSettled,
    WaveStarted,
)
from density.model import Failure, Phase, Workload
from density.record import Extent, Follower, RecordWriter, read_events, replay
from density.state import RunState, fold

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Nothing here depends on the event loop."""
    backend: str = request.param
    return backend


def _run(instances: int = 4) -> list[Event]:
    """A small run; the last instance fails, the first is lost."""
    events: list[Event] = [
        RunStarted(0.0, "r1", 1.7e9, "0", "p", "safe", (Workload(name="web", engine="native"),), 10),
        WaveStarted(1.0, 1, {"web": instances}, instances),
    ]
    for number in range(instances):
        name = f"web-{number:05d}"
        events += [
            InstanceChanged(1.0, name, "web", Phase.REQUESTED),
            InstanceChanged(1.5, name, "web", Phase.CREATED),
            InstanceChanged(1.75, name, "web", Phase.STARTED),
        ]
        if number == instances - 1:
            failure = Failure("timeout", "never said ready", ("last line",))
            events.append(InstanceChanged(9.0, name, "web", Phase.FAILED, failure))
        else:
            events.append(InstanceChanged(2.0, name, "web", Phase.READY, None, {"kernel": "6.1"}))
    events += [
        HostSampled(2.5, {"tasks.count": 300.0, "tasks.pid_max": float("inf")}, 0.001),
        ProbeMeasured(3.0, "web-00001", "web", 0.0005),
        InstanceChanged(4.0, "web-00000", "web", Phase.LOST, Failure("exited", "gone")),
        WaveSettled(9.5, 6.5, 1, {"web": instances - 2}, {"tasks.count": 310.0}, {"timeout": 1}),
    ]
    return events


def _states_equal(one: RunState, other: RunState) -> bool:
    return repr(vars(one)) == repr(vars(other))


def _query(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def _write(path: Path, events: list[Event]) -> None:
    async with RecordWriter(path) as record:
        for event in events:
            record.handle(event)


async def test_replay_gives_the_same_events_and_state(tmp_path: Path) -> None:
    """What comes out is what went in, and folds to the same state."""
    path = tmp_path / "run.sqlite"
    events = _run()
    await _write(path, events)
    assert list(read_events(path)) == events
    assert _states_equal(replay(path), fold(events))


async def test_a_finished_record_is_one_file(tmp_path: Path) -> None:
    """After closing no log lies beside the record, and it can be read where nothing can be written."""
    path = tmp_path / "run.sqlite"
    await _write(path, _run())
    assert [entry.name async for entry in anyio.Path(tmp_path).iterdir()] == ["run.sqlite"]


async def test_a_record_is_readable_while_it_is_written(tmp_path: Path) -> None:
    """A reader sees everything up to the last tick, and the writer goes on."""
    path = tmp_path / "run.sqlite"
    first, *rest = _run()
    async with RecordWriter(path, tick_seconds=600) as record:
        record.handle(first)
        await record.flush()
        reader = read_events(path)
        assert next(reader) == first
        for event in rest:
            record.handle(event)
        await record.flush()
        assert list(read_events(path)) == [first, *rest]
        assert list(reader) == rest
    assert record.problem == ""


async def test_many_that_wait_share_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finds its own event in the file once it has waited, and the disk is asked far less often than that."""
    path, write, asked = tmp_path / "run.sqlite", RecordWriter._write, list[int]()

    def noted(self: RecordWriter, connection: sqlite3.Connection, rows: list[tuple[float, str, str]]) -> bool:
        asked.append(len(rows))
        return write(self, connection, rows)

    monkeypatch.setattr(RecordWriter, "_write", noted)
    async with RecordWriter(path, tick_seconds=600) as record:

        async def one(number: int) -> None:
            event = Warned(float(number), str(number))
            record.handle(event)
            await record.kept()
            assert event in list(read_events(path))

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(one, number)
    assert sum(asked) == 50
    assert len(asked) <= 5


async def test_a_disk_that_hangs_holds_nobody_up_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the record goes on after a while, and the event is written later."""
    monkeypatch.setattr("density.record.writer.KEPT_SECONDS", 0.1)
    path, write, hanging = tmp_path / "run.sqlite", RecordWriter._write, threading.Event()

    def late(self: RecordWriter, connection: sqlite3.Connection, rows: list[tuple[float, str, str]]) -> bool:
        hanging.wait(10)
        return write(self, connection, rows)

    monkeypatch.setattr(RecordWriter, "_write", late)
    event = Warned(1.0, "one")
    async with RecordWriter(path, tick_seconds=600) as record:
        record.handle(event)
        with anyio.fail_after(5):
            await record.kept()
        hanging.set()
    assert list(read_events(path)) == [event]


async def test_long_records_are_read_by_pages(tmp_path: Path) -> None:
    """More events than a page holds come out whole and in order."""
    path = tmp_path / "run.sqlite"
    events: list[Event] = [Warned(float(number), str(number)) for number in range(2500)]
    await _write(path, events)
    assert list(read_events(path)) == events


async def test_views_show_instances_as_rows(tmp_path: Path) -> None:
    """SQL sees each instance's times and failure, the failures, samples, waves and probes."""
    path = tmp_path / "run.sqlite"
    await _write(path, _run())
    assert _query(path, "SELECT * FROM instances ORDER BY id") == [
        ("web-00000", "web", 1.0, 1.5, 1.75, 2.0, None, None, 4.0, "exited", "gone"),
        ("web-00001", "web", 1.0, 1.5, 1.75, 2.0, None, None, None, None, None),
        ("web-00002", "web", 1.0, 1.5, 1.75, 2.0, None, None, None, None, None),
        ("web-00003", "web", 1.0, 1.5, 1.75, None, None, 9.0, None, "timeout", "never said ready"),
    ]
    assert _query(path, "SELECT at, instance_id, phase, failure_kind, message FROM failures ORDER BY at") == [
        (4.0, "web-00000", "lost", "exited", "gone"),
        (9.0, "web-00003", "failed", "timeout", "never said ready"),
    ]
    assert _query(path, "SELECT * FROM samples") == [
        (2.5, "tasks.count", 300.0),
        (2.5, "tasks.pid_max", float("inf")),
    ]
    assert _query(path, "SELECT * FROM waves") == [(1, 1.0, 4, 4, 9.5, 2, 1)]
    assert _query(path, "SELECT * FROM probes") == [(3.0, "web-00001", "web", 0.0005)]


CRASH = """
import anyio, os, signal, sys
from pathlib import Path
from density.events import Warned
from density.record import RecordWriter

async def main():
    async with RecordWriter(Path(sys.argv[1]), tick_seconds=600) as record:
        for number in range(10):
            record.handle(Warned(float(number), "before"))
        await record.flush()
        record.handle(Warned(99.0, "in the tick that is lost"))
        os.kill(os.getpid(), signal.SIGKILL)

anyio.run(main)
"""


async def test_a_crashed_run_is_readable(tmp_path: Path) -> None:
    """A tester killed in the middle leaves a record that holds everything up to its last tick."""
    path = tmp_path / "run.sqlite"
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run([sys.executable, "-c", CRASH, path], timeout=30, check=False)
    )
    assert done.returncode == -signal.SIGKILL
    assert [event.at for event in read_events(path)] == [float(number) for number in range(10)]


async def test_the_end_is_written_when_cancelled(tmp_path: Path) -> None:
    """Ctrl-C does not cost the record its last events."""
    path = tmp_path / "run.sqlite"
    with anyio.CancelScope() as scope:
        async with RecordWriter(path, tick_seconds=600) as record:
            record.handle(Warned(1.0, "last words"))
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert list(read_events(path)) == [Warned(1.0, "last words")]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, unmounted again."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.root
async def test_a_full_disk_is_told_once_and_the_run_goes_on(tiny_disk: Path) -> None:
    """A disk that stays full: one clear sentence, no exception, and what was written before is readable."""
    path = tiny_disk / "run.sqlite"
    told: list[str] = []
    refused: list[str] = []
    async with RecordWriter(path, tick_seconds=600, on_problem=told.append, on_refused=refused.append) as record:
        record.handle(Warned(0.0, "fits"))
        await record.flush()
        _fill(tiny_disk / "ballast")
        for number in range(1, 200):
            record.handle(Warned(float(number), "x" * 1000))
        await record.flush()
        record.handle(Warned(1000.0, "still going"))
        await record.flush()
    assert told == refused == [f"{path}: the record could not be written: database or disk is full"]
    assert record.problem == told[0] + "; 200 events are missing (200 warned)"
    assert record.held == Extent(0.0, {"warned": 200})
    assert list(read_events(path)) == [Warned(0.0, "fits")]


@pytest.mark.root
async def test_a_disk_that_stays_full_stops_the_record(tiny_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once more waits than memory should hold: it is told once, and what comes after is counted as missing."""
    monkeypatch.setattr("density.record.writer.WAITING_MAX", 50)
    stopped: list[str] = []
    async with RecordWriter(tiny_disk / "run.sqlite", tick_seconds=600, on_stopped=stopped.append) as record:
        record.handle(Warned(0.0, "fits"))
        await record.flush()
        _fill(tiny_disk / "ballast")
        for number in range(1, 200):
            record.handle(Warned(float(number), "x" * 1000))
        assert len(stopped) == 1
    assert record.held == Extent(0.0, {"warned": 199})


@pytest.mark.parametrize("fault", [RuntimeError("no"), SystemExit(3), MemoryError()])
async def test_a_thread_that_ends_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """Whatever it ends by: nobody waits for it for ever, the reason is told once, and what is lost is counted."""
    stopped: list[str] = []

    def write(self: RecordWriter, connection: sqlite3.Connection, rows: object) -> bool:
        raise fault

    async with RecordWriter(tmp_path / "run.sqlite", tick_seconds=0.01, on_stopped=stopped.append) as record:
        monkeypatch.setattr(RecordWriter, "_write", write)
        with anyio.fail_after(10):
            while not stopped:
                record.handle(Warned(1.0, "lost"))
                await record.flush()
        record.handle(Warned(2.0, "lost too"))
    assert len(stopped) == 1
    assert type(fault).__name__ in stopped[0]
    assert record.held.last_event_at is None
    assert record.held.missing_events == record.missing > 1


@pytest.mark.root
async def test_a_disk_that_was_full_for_a_while_costs_nothing(tiny_disk: Path) -> None:
    """Events wait in memory, in order, until there is space again: a run that fills the disk frees it in teardown."""
    path = tiny_disk / "run.sqlite"
    events: list[Event] = [Warned(float(number), "x" * 1000) for number in range(40)]
    async with RecordWriter(path, tick_seconds=600) as record:
        _fill(tiny_disk / "ballast")
        for event in events:
            record.handle(event)
        await record.flush()
        assert "disk is full" in record.problem
        (tiny_disk / "ballast").unlink()
        await record.flush()
        assert list(read_events(path)) == events
    assert record.problem.endswith("; written later, nothing is missing")
    assert list(read_events(path)) == events


async def test_another_user_of_the_file_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who locks the record for a while is no full disk, and ends no run."""
    really = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **options: really(path, **options | {"timeout": 0.01}))
    refused: list[str] = []
    async with RecordWriter(tmp_path / "run.sqlite", tick_seconds=600, on_refused=refused.append) as record:
        other = really(tmp_path / "run.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        record.handle(Warned(1.0, "waits"))
        await record.flush()
        record.handle(Warned(2.0, "waits too"))
        assert record.missing == 2
        assert "locked" in record.problem
        other.close()
    assert refused == []
    assert [event.at for event in read_events(tmp_path / "run.sqlite")] == [1.0, 2.0]


def _fill(path: Path) -> None:
    """Take every block that is left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def test_an_event_that_cannot_be_encoded_costs_only_itself(tmp_path: Path) -> None:
    """One bad event is named; those around it are written."""
    path = tmp_path / "run.sqlite"
    async with RecordWriter(path) as record:
        for event in (Warned(1.0, "before"), Warned(2.0, object()), Warned(3.0, "after")):  # type: ignore[arg-type]
            record.handle(event)
    assert [event.at for event in read_events(path)] == [1.0, 3.0]
    assert "warned cannot be put into the record" in record.problem
    assert record.problem.endswith("; 1 events are missing (1 warned)")


async def test_a_record_is_never_overwritten(tmp_path: Path) -> None:
    """A second run in the same directory is refused before anything is started."""
    path = tmp_path / "run.sqlite"
    await _write(path, _run())
    with pytest.raises(UsageError, match=r"cannot be made: .*exists"):
        await _write(path, [])
    assert len(list(read_events(path))) == len(_run())


async def test_a_directory_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """The sentence names the path."""
    with pytest.raises(UsageError, match=r"absent/run\.sqlite: the record of the run cannot be made"):
        await _write(tmp_path / "absent" / "run.sqlite", [])


async def test_what_is_no_record_is_a_usage_error(tmp_path: Path) -> None:
    """No file, another kind of file and another version are told apart."""
    with pytest.raises(UsageError, match="there is no record"):
        list(read_events(tmp_path / "run.sqlite"))
    text = tmp_path / "text.sqlite"
    text.write_text("not a database, but long enough to have a header of one hundred bytes" * 10)
    with pytest.raises(UsageError, match="not a record of a run"):
        list(read_events(text))
    newer = tmp_path / "newer.sqlite"
    await _write(newer, [])
    _query(newer, "PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="version 99 and this density reads version 1"):
        list(read_events(newer))


async def test_a_damaged_event_is_named(tmp_path: Path) -> None:
    """An event that cannot be understood is an error with its number, not a gap."""
    path = tmp_path / "run.sqlite"
    await _write(path, [Warned(1.0, "good")])
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO event (at, kind, body) VALUES (2.0, 'odd', '{\"kind\": \"odd\"}')")
    connection.close()
    with pytest.raises(DensityError, match="event 2 is none that this density knows: Input tag 'odd'"):
        list(read_events(path))


async def test_a_follower_reads_each_event_once(tmp_path: Path) -> None:
    """While the record is written: what has come since the last time, a page at a time, or nothing."""
    path = tmp_path / "run.sqlite"
    events: list[Event] = [Warned(float(number), "x") for number in range(2500)]
    async with RecordWriter(path, tick_seconds=600) as record:
        follower = Follower(path)
        assert follower.news() == []
        for event in events:
            record.handle(event)
        await record.flush()
        pages = [follower.news() for _ in range(4)]
        assert [len(page) for page in pages] == [1000, 1000, 500, 0]
        assert [event for page in pages for event in page] == events
        record.handle(Warned(9999.0, "last"))
    assert follower.news() == [Warned(9999.0, "last")]
    assert [entry.name async for entry in anyio.Path(tmp_path).iterdir()] == ["run.sqlite"], "it held nothing open"


async def test_a_follower_is_told_of_what_it_cannot_read(tmp_path: Path) -> None:
    """As any reader: no file, and an event that nobody knows."""
    path = tmp_path / "run.sqlite"
    with pytest.raises(UsageError, match="there is no record"):
        Follower(path).news()
    await _write(path, [])
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO event (at, kind, body) VALUES (2.0, 'odd', '{}')")
    connection.close()
    with pytest.raises(DensityError, match="event 1 is none that this density knows"):
        Follower(path).news()
