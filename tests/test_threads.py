"""Work in threads, where the kernel refuses another thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn, cast
from unittest.mock import AsyncMock

import anyio
import anyio.to_thread
import pytest
from anyio import CapacityLimiter

from density import threads
from density.engines.libvirt import containers
from density.errors import NO_THREAD, without_thread
from density.model import Workload
from density.payload.guests import make_guest
from density.threads import in_thread

if TYPE_CHECKING:
    from density.engines.base import EngineContext

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop that runs have."""
    return "asyncio"


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread can be started."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError(NO_THREAD)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        yield


async def test_it_waits_for_a_thread_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls and one thread: the second goes to the first one's thread, and none to the event loop's."""
    used: list[threading.Thread] = []
    busy, go = threading.Event(), threading.Event()

    def work(first: bool) -> None:  # noqa: FBT001 — handed over by position
        used.append(threading.current_thread())
        if first:
            busy.set()
            go.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(in_thread, work, True)  # noqa: FBT003 — by position
        while not busy.is_set():  # noqa: ASYNC110 — a thread sets it
            await anyio.sleep(0.001)
        with full(monkeypatch):
            group.start_soon(in_thread, work, False)  # noqa: FBT003 — by position
            await anyio.sleep(3 * threads._PAUSE_SECONDS)
            assert len(used) == 1
            go.set()
            while len(used) < 2:  # noqa: ASYNC110 — a thread adds it
                await anyio.sleep(0.001)
    assert used[0] is used[1]
    assert used[0] is not threading.current_thread()


async def test_without_any_thread_the_event_loop_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; its result and its errors come back as from a thread, and no place in the limiter stays taken."""
    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.1)
    limiter = CapacityLimiter(1)

    def fail() -> None:
        raise LookupError

    with full(monkeypatch):
        blocked = [threading.Event() for _ in range(64)]
        try:
            for event in blocked:
                await _occupy(event)
        except RuntimeError:
            pass  # none is idle any more
        try:
            assert await in_thread(threading.current_thread, limiter=limiter) is threading.current_thread()
            with pytest.raises(LookupError):
                await in_thread(fail, limiter=limiter)
            assert limiter.borrowed_tokens == 0
        finally:
            for event in blocked:
                event.set()


async def test_what_may_take_long_is_never_done_in_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has failed where no thread comes free in a while, and was not done."""
    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(anyio.to_thread, "run_sync", refused)
    done: list[int] = []
    with pytest.raises(RuntimeError) as raised:
        await in_thread(done.append, 1, or_here=False)
    assert without_thread(raised.value)
    assert done == []


async def test_guests_and_roots_are_made_without_a_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a run prepares is made in the event loop then: nothing else goes on by then that would wait."""
    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(anyio.to_thread, "run_sync", refused)
    guest = await make_guest(Workload(name="w", engine="libvirt", guest="null"), tmp_path)
    assert guest.disk is not None
    assert guest.disk.exists()
    binary = tmp_path / "binary"
    binary.touch()
    monkeypatch.setattr(containers, "payload_binary", AsyncMock(return_value=binary))
    root = await containers.make_root(cast("EngineContext", SimpleNamespace(cache_dir=tmp_path, data_dir=tmp_path)))
    assert (root / "payload").exists()


async def refused(*_: object, **__: object) -> NoReturn:
    """As where the kernel refuses every thread."""
    raise RuntimeError(NO_THREAD)


async def _occupy(event: threading.Event) -> None:
    """Keep an idle thread from others, until the event."""
    with anyio.move_on_after(0.01):
        await anyio.to_thread.run_sync(event.wait, abandon_on_cancel=True)
