"""Removing from a daemon that does not remove any more."""

from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from density.engines.docker import removal
from density.engines.docker.answers import Version
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
        assert not await removal.for_each(range(100), remove_one, removal.Pace(4))
    assert asked == list(range(10 + 4))


async def test_a_daemon_that_refuses_every_one_has_stalled_too() -> None:
    """An answer that is no removal is no progress."""

    async def remove_one(item: int) -> bool:
        return not await gone_after(0.05, item)

    with anyio.fail_after(5):
        assert not await removal.for_each(range(100), remove_one, removal.Pace(4))


async def test_a_slow_daemon_is_waited_for() -> None:
    """It takes longer altogether than patience lasts, and each removal starts it anew."""
    assert await removal.for_each(range(16), partial(gone_after, 0.4), removal.Pace(4))


async def test_a_daemon_that_is_gone_is_an_error() -> None:
    """What had not begun by then is not tried."""

    async def remove_one(item: int) -> bool:
        raise EngineUnavailable("docker", "gone")

    with pytest.raises(EngineUnavailable, match="gone"):
        await removal.for_each(range(100), remove_one, removal.Pace(4))


@pytest.mark.parametrize("most", [4, 16])
async def test_as_many_at_once_as_the_daemon_takes(most: int) -> None:
    """One more after each that worked, up to the most that this daemon may be given."""
    under_way, peak = 0, 0

    async def remove_one(_: int) -> bool:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, under_way)
        await anyio.sleep(0.001)
        under_way -= 1
        return True

    assert await removal.for_each(range(200), remove_one, removal.Pace(most))
    assert peak == most


async def test_fewer_at_once_where_removals_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that cannot fork refuses every one for a while: they are asked one by one then; all go in the end."""
    monkeypatch.setattr(removal, "FIRST_PAUSE_SECONDS", 0.01)
    refused, pace, places = 0, removal.Pace(16), []

    async def remove_one(_: int) -> bool:
        nonlocal refused
        places.append(pace.limiter.total_tokens)
        await anyio.lowlevel.checkpoint()
        refused += 1
        return refused > 60

    left = set(range(40))

    async def note(item: int) -> bool:
        gone = await remove_one(item)
        left.difference_update({item} if gone else ())
        return gone

    assert await removal.for_each(range(40), note, pace)
    assert min(places) == 1
    assert pace.limiter.total_tokens == 16
    assert left == set()


@pytest.mark.parametrize(
    ("version", "most"),
    [
        ({"Version": "20.10.24+dfsg1"}, removal.AT_ONCE),
        ({"Version": "22.06.0-beta"}, removal.AT_ONCE),
        ({"Version": "23.0.0"}, removal.MOST_AT_ONCE),
        ({"Version": "29.1.2"}, removal.MOST_AT_ONCE),
        ({"Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}, removal.MOST_AT_ONCE),
        ({"Version": "master-dockerproject"}, removal.AT_ONCE),
        ({}, removal.AT_ONCE),
    ],
)
def test_what_a_daemon_is_given_at_once(version: dict[str, Any], most: int) -> None:
    """Before 23.0 Docker can lock itself up where many containers end at once; so may an unknown one."""
    assert removal.removals_at_once(Version.of({"ApiVersion": "1.41", **version})) == most
