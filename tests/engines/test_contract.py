"""The contract of engines: one list of facts, true of every one of them."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from engines.contract import Case, Session, context_in, entered, needs, opened, short_directory

from density.errors import UsageError
from density.model import Phase

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def shared(case: Case) -> AsyncGenerator[Session]:
    """One engine for all facts that need no more: finding out how a VM boots here takes ten seconds."""
    with short_directory() as directory:
        async with opened(case, directory) as session:
            yield session


@pytest.fixture
async def session(shared: Session) -> AsyncGenerator[Session]:
    """An engine in which nothing of its run is, before and after."""
    shared.changes.clear()
    yield shared
    await shared.leftovers()


async def test_describes_itself(case: Case, session: Session) -> None:
    """An engine says its name, its version and where it is."""
    info = await session.engine.describe()
    assert info.name == session.engine.name == case.ready.engine
    assert info.version
    assert info.endpoint


async def test_check_starts_nothing(case: Case, session: Session) -> None:
    """What cannot run is refused before anything is made, and what can is not; either way nothing was started."""
    await session.engine.check(case.ready)
    with pytest.raises(UsageError):
        await session.engine.check(case.impossible)
    assert session.changes == []
    assert await session.leftovers() == ()


async def test_phases_in_order(case: Case, session: Session) -> None:
    """An instance is created, started and ready, in this order and at times that never go back."""
    before = anyio.current_time()
    [instance_id] = await session.launch(case.ready)
    after = anyio.current_time()
    assert session.phases(instance_id) == [Phase.CREATED, Phase.STARTED, Phase.READY]
    times = [before, *(change.at for change in session.changes), after]
    assert times == sorted(times)
    assert {change.workload for change in session.changes} == {case.ready.name}


async def test_many_at_once(case: Case, session: Session) -> None:
    """Launches may run side by side; each instance gets ready."""
    for instance_id in await session.launch(case.ready, case.many):
        assert session.phases(instance_id)[-1] is Phase.READY


async def test_stop_removes(case: Case, session: Session) -> None:
    """Stopping reports stopping and removed, leaves the others alone, and then nothing of it is in the engine."""
    first, second = await session.launch(case.ready, 2)
    await session.engine.stop([first])
    await session.until(first, Phase.REMOVED)
    assert session.phases(first)[-2:] == [Phase.STOPPING, Phase.REMOVED]
    assert session.phases(second)[-1] is Phase.READY
    await session.engine.stop([second])
    await session.until(second, Phase.REMOVED)
    assert await session.leftovers() == ()


async def test_lists_what_runs(case: Case, session: Session) -> None:
    """An engine's own list has the run's instances that run now, and no others."""
    ids = await session.launch(case.ready, 2)
    assert sorted((await session.engine.describe()).running) == sorted(ids)
    await session.engine.stop(ids[:1])
    await session.until(ids[0], Phase.REMOVED)
    assert (await session.engine.describe()).running == (ids[1],)


async def test_stop_ignores_unknown(case: Case, session: Session) -> None:
    """Ids that no one knows, or that are gone already, are no error and report nothing."""
    [instance_id] = await session.launch(case.ready)
    await session.engine.stop([instance_id])
    await session.until(instance_id, Phase.REMOVED)
    said = len(session.changes)
    await session.engine.stop(["nobody-00001", instance_id])
    await anyio.wait_all_tasks_blocked()
    assert len(session.changes) == said


async def test_reap_spares_other_runs(case: Case, session: Session, runtime_dir: Path) -> None:
    """Reaping a run removes what is that run's, and nothing of another."""
    async with opened(case, runtime_dir) as other:
        async with anyio.create_task_group() as group:
            group.start_soon(other.launch, case.ready)
            [mine_id] = await session.launch(case.ready)
        other_id = other.changes[-1].instance_id
        assert len(await session.leftovers()) == 1
        assert await session.leftovers() == ()
        assert other.phases(other_id)[-1] is Phase.READY
        assert Phase.LOST not in session.phases(mine_id)
        assert len(await other.leftovers()) == 1


@needs("outlives")
async def test_reap_after_crash(case: Case, runtime_dir: Path) -> None:
    """What a controller left behind is found by an engine that knows nothing of it."""
    async with context_in(runtime_dir) as context:
        async with entered(case, context) as lost:
            await lost.launch(case.ready, 2)
        async with entered(case, context) as finder:
            assert len(await finder.leftovers()) == 2
            assert await finder.leftovers() == ()


async def test_lost_is_reported(case: Case, session: Session) -> None:
    """An instance that ends by itself after it was ready is lost, with a reason, without anyone asking."""
    first, second = await session.launch(case.ready, 2)
    await case.kill(session.engine, session.context.run_id, first)
    change = await session.until(first, Phase.LOST)
    assert change.failure is not None
    assert change.failure.kind
    assert change.failure.message
    assert session.phases(second)[-1] is Phase.READY


@needs("exits")
async def test_failure_is_data(case: Case, session: Session) -> None:
    """An instance that ends before it is ready has failed, in words, and the launch raises nothing."""
    assert case.exits is not None
    [instance_id] = await session.launch(case.exits)
    change = await session.until(instance_id, Phase.FAILED)
    assert change.failure is not None
    assert change.failure.kind not in {"engine", "timeout"}
    assert "\n" not in change.failure.message
    assert change.failure.evidence, "its last words"
    assert Phase.READY not in session.phases(instance_id)


@needs("never")
async def test_timeout_is_data(case: Case, session: Session) -> None:
    """An instance that is not ready in time has failed by then, with kind `timeout`, and nothing of it stays."""
    assert case.never is not None
    await session.prepare(case.never)
    with anyio.fail_after(case.never.ready_timeout_seconds + 30):
        [instance_id] = await session.launch(case.never)
    change = await session.until(instance_id, Phase.FAILED)
    assert change.failure is not None
    assert change.failure.kind == "timeout"
    assert await session.leftovers() == ()


async def test_cancelled_launch_is_known(case: Case, session: Session) -> None:
    """A launch that is interrupted leaves nothing that reaping would not find."""
    await session.prepare(case.ready)
    instance_id = session.new_id(case.ready)
    async with anyio.create_task_group() as group:
        group.start_soon(session.engine.launch, case.ready, instance_id)
        await session.until(instance_id, Phase.CREATED)
        group.cancel_scope.cancel()
    await session.leftovers()
    assert await session.leftovers() == ()


async def test_impossible_is_refused(case: Case, session: Session) -> None:
    """A workload that cannot run here is refused before any clock starts, in one sentence."""
    with pytest.raises(UsageError) as caught:
        await session.engine.prepare(case.impossible)
    assert "\n" not in str(caught.value)
    assert session.changes == []


async def test_leaving_ends_watching(case: Case, runtime_dir: Path) -> None:
    """Once the engine is left, `watch` comes to its end by itself."""
    with anyio.fail_after(60):
        async with opened(case, runtime_dir) as session:
            await session.engine.describe()
    assert session.changes == []
