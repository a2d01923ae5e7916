"""Reaping a dead run of a daemon, as `density clean` and the reaper do: nothing was asked of it before."""

import threading
import time

import pytest
from engines.contract import context_in, short_directory
from support.fake_docker import Answer, Question, served
from support.lying_docker import FakeContainer, HonestDocker

from density.engines.docker import DockerEngine, removal
from density.model import LABEL, Reaped

pytestmark = pytest.mark.anyio
RUN = "20260101-000000-0d01"
LABELS = {LABEL: RUN}
REMOVAL_SECONDS = 0.03


@pytest.fixture
def anyio_backend() -> str:
    """Waits are real and short."""
    return "asyncio"


class Slow(HonestDocker):
    """Takes a moment for each removal.

    Attributes:
        peak: of the removals at once.
    """

    def __init__(self, version: str, *, containers: int) -> None:
        super().__init__()
        self.peak = 0
        self._version = version
        self._under_way = 0
        self._lock = threading.Lock()
        for number in range(containers):
            name = f"{number:064x}"
            self.containers[name] = FakeContainer(name, f"c{number}", LABELS, running=True)

    def truth(self, endpoint: str, question: Question) -> Answer:
        """The answer, and how many removals there are meanwhile."""
        if endpoint == "version":
            return {"ApiVersion": "1.41", "Version": self._version}
        if question.method != "DELETE":
            return super().truth(endpoint, question)
        with self._lock:
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)
        time.sleep(REMOVAL_SECONDS)
        with self._lock:
            self._under_way -= 1
            return self.removed(endpoint, question)

    def removed(self, endpoint: str, question: Question) -> Answer:
        """The end of a removal."""
        return super().truth(endpoint, question)


async def reap(daemon: HonestDocker) -> Reaped:
    """By an engine that has just been entered."""
    with short_directory() as directory:
        async with context_in(directory) as context:
            with served(directory, daemon):
                async with DockerEngine(context, endpoint=f"unix://{directory}/docker.sock") as engine:
                    found = await engine.reap(RUN)
                daemon.close()
    return found


@pytest.mark.parametrize(
    ("version", "most"), [("20.10.24", removal.AT_ONCE), ("27.1.0", removal.MOST_AT_ONCE), ("", removal.AT_ONCE)]
)
async def test_as_many_at_once_as_the_daemons_version_takes(version: str, most: int) -> None:
    """Known from the first answer on."""
    daemon = Slow(version, containers=80)
    found = await reap(daemon)
    assert (len(found.removed), found.left) == (80, ())
    assert daemon.peak == most
