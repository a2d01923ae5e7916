"""Removing from a daemon that does not remove any more."""

from functools import partial

import anyio
import pytest

from density.engines.docker import removal
from density.errors import EngineUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Waits are real and short."""
    return "asyncio"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute of patience is a second here."""
    monkeypatch.setattr(removal, "STALLED_SECONDS", 1.0)


async def gone_after(seconds: float, _: int) -> bool:
    """A removal that takes so long."""
    await anyio.sleep(seconds)
    return True


async def test_a_daemon_that_locks_up_is_not_waited_for() -> None:
    """Once nothing goes any more the rest is left, and it is told so; nobody waits for each of a hundred in turn."""
    asked = []

    async def remove_one(item: int) -> bool:
        asked.append(item)
        return await gone_after(0.0 if item < 10 else 1000.0, item)

    with anyio.fail_after(5):
        assert not await removal.for_each(range(100), remove_one)
    assert asked == list(range(10 + removal.CONCURRENCY))


async def test_a_daemon_that_refuses_every_one_has_stalled_too() -> None:
    """An answer that is no removal is no progress."""

    async def remove_one(item: int) -> bool:
        return not await gone_after(0.05, item)

    with anyio.fail_after(5):
        assert not await removal.for_each(range(100), remove_one)


async def test_a_slow_daemon_is_waited_for() -> None:
    """It takes longer altogether than patience lasts, and each removal starts it anew."""
    assert await removal.for_each(range(4 * removal.CONCURRENCY), partial(gone_after, 0.4))


async def test_a_daemon_that_is_gone_is_an_error() -> None:
    """What had not begun by then is not tried."""

    async def remove_one(item: int) -> bool:
        raise EngineUnavailable("docker", "gone")

    with pytest.raises(EngineUnavailable, match="gone"):
        await removal.for_each(range(100), remove_one)
