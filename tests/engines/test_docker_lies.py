"""A run on a Docker daemon that misbehaves, in each of the ways of `support.lying_docker`.

Whatever it answers: no fault of density's own, counts that add up, and an end within a bound.
"""

import pytest
from engines.contract import short_directory
from support.lied_to import WORKLOADS, faults, run_on, run_on_each
from support.lying_docker import ENDPOINTS, MODES, HonestDocker

from density.engines.docker.session import Patience

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Waits are real and short."""
    return "asyncio"


async def test_an_honest_daemon() -> None:
    """The daemon that the others are told from: all ways to be ready work, nothing is left, all endpoints are asked."""
    daemon = HonestDocker()
    with short_directory() as directory:
        ended = await run_on(daemon, directory, patience=Patience())
    assert (ended.code, ended.left, list(faults(ended))) == (0, 0, [])
    assert {name: tally.ready for name, tally in ended.state.workloads.items()} == {w.name: 3 for w in WORKLOADS}
    assert set(daemon.asked) == set(ENDPOINTS)


async def test_every_kind_of_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fault of density's own, exit code 0, 2, 4 or 5, counts that add up, in time; `make torture` has more."""
    short = [mode for mode in MODES if mode.is_short]
    assert len(short) >= 74
    found = await run_on_each(short, monkeypatch)
    assert len(found) == len(short)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
