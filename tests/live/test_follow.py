"""Following a run of another process by its record: while it is written, to its end, and past its death."""

import os
import time
from pathlib import Path

import anyio
import pytest

from density.controller.paths import RunLock
from density.errors import UsageError
from density.events import Event, StageEntered, Stopped, TornDown
from density.live.follow import Followed
from density.record import RecordWriter, replay
from density.state import RunState

pytestmark = pytest.mark.anyio

END: list[Event] = [Stopped(9.0, "max", "enough"), TornDown(10.0, 4, (), 1.0), StageEntered(10.0, "done")]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Nothing here depends on the event loop."""
    backend: str = request.param
    return backend


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the record of run r1 will be; its lock is looked for below the same directory."""
    monkeypatch.setattr("density.live.follow.runtime_base", lambda: tmp_path / "base")
    monkeypatch.setattr("density.live.follow.POLL_SECONDS", 0.01)
    (tmp_path / "r1").mkdir()
    return tmp_path / "r1" / "run.sqlite"


def _silent(record: Path) -> None:
    """As if nothing had been written for an hour."""
    for path in record.parent.iterdir():
        os.utime(path, (1e9, 1e9))


def _same(one: RunState, other: RunState) -> bool:
    return repr(vars(one)) == repr(vars(other))


async def test_what_is_written_is_seen_and_the_writer_does_not_notice(record: Path, events: list[Event]) -> None:
    """The state is the run's own, at every tick; when the run ends its record is one file, though it was read."""
    seen: list[Event] = []
    async with RecordWriter(record, tick_seconds=600) as writer:
        for event in events[:5]:
            writer.handle(event)
        await writer.flush()
        followed = Followed(record)
        await followed.catch_up()
        assert _same(followed.state, replay(record))
        assert followed.state.stage == "ramp"
        async with anyio.create_task_group() as group:
            group.start_soon(followed.follow, seen.append)
            for event in [*events[5:], *END]:
                writer.handle(event)
                await writer.flush()
    assert seen == [*events[5:], *END]
    assert _same(followed.state, replay(record))
    assert followed.is_over
    assert [path.name for path in record.parent.iterdir()] == ["run.sqlite"]


async def test_a_run_that_is_over_is_not_dead(record: Path, events: list[Event]) -> None:
    """However long ago that was, and although nobody holds its lock."""
    async with RecordWriter(record) as writer:
        for event in [*events, *END]:
            writer.handle(event)
    _silent(record)
    followed = Followed(record)
    await followed.catch_up()
    assert followed.is_over
    assert not followed.is_dead()


async def test_a_run_whose_process_is_gone_is_dead(record: Path, events: list[Event], tmp_path: Path) -> None:
    """Silent and without a lock; a silent one that holds its lock waits for something, such as a full disk."""
    async with RecordWriter(record) as writer:
        for event in events:
            writer.handle(event)
    followed = Followed(record)
    assert not followed.is_dead(), "it wrote a moment ago"
    _silent(record)
    followed = Followed(record)
    with RunLock("r1", base=tmp_path / "base"):
        assert not followed.is_dead()
    assert followed.is_dead()
    seen: list[Event] = []
    with anyio.fail_after(10):
        await followed.follow(seen.append)
    assert seen == events, "what it wrote before it died is not missed"
    assert not followed.is_over


async def test_a_run_of_another_user_is_alive_while_it_writes(
    record: Path, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock lies where one may not look."""

    def refuse(base: Path) -> dict[str, bool]:
        raise PermissionError

    monkeypatch.setattr("density.live.follow.known_runs", refuse)
    async with RecordWriter(record) as writer:
        writer.handle(events[0])
    assert not Followed(record).is_dead()
    _silent(record)
    assert Followed(record).is_dead()


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_clock_that_jumps_kills_nobody(
    record: Path, events: list[Event], jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the clock says while a run is watched: it is dead when its record stood still, and not before."""
    monkeypatch.setattr("density.live.follow.SILENT_SECONDS", 0.3)
    async with RecordWriter(record) as writer:
        writer.handle(events[0])
    followed = Followed(record)
    assert not followed.is_dead()
    really = time.time
    monkeypatch.setattr(time, "time", lambda: really() + jump)
    assert not followed.is_dead()
    os.utime(record, (really() + jump, really() + jump))
    assert not followed.is_dead(), "it was written under the new clock"
    with anyio.fail_after(10):
        await followed.follow(lambda _: None)
    assert not followed.is_over


async def test_a_record_that_is_not_there_is_said(record: Path) -> None:
    """As by every reader."""
    with pytest.raises(UsageError, match="there is no record"):
        await Followed(record).catch_up()
