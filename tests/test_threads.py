"""Work in threads, where the kernel refuses another thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest
from anyio import CapacityLimiter

from density import threads
from density.threads import in_thread

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop that runs have."""
    return "asyncio"


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread can be started."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError(threads.FULL)

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


async def _occupy(event: threading.Event) -> None:
    """Keep an idle thread from others, until the event."""
    with anyio.move_on_after(0.01):
        await anyio.to_thread.run_sync(event.wait, abandon_on_cancel=True)
