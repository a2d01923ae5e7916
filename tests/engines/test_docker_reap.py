"""Reaping a dead run of a daemon, as `density clean` and the reaper do: nothing was asked of it before."""

import threading
import time
from contextlib import closing

import anyio
import pytest
from engines.contract import context_in, short_directory
from support.fake_docker import Answer, Question, Status, Wire, served
from support.lying_docker import FakeContainer, HonestDocker

from density.engines.docker import DockerEngine, removal
from density.engines.docker.instance import Instance
from density.engines.docker.session import Patience
from density.errors import EngineUnavailable
from density.model import LABEL, Phase, Reaped, Workload

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


class Furnished(Slow):
    """Has images, networks and volumes of the run beside its containers.

    Attributes:
        things: paths of those that there are.
        refusals: how often the removal of each image is refused at first.
        resets: how many connections are reset at first by who removes one.
    """

    def __init__(self, *, each: int, refusals: int = 0, resets: int = 0) -> None:
        super().__init__("27.1.0", containers=0)
        self.things = [
            f"/{kind}/{kind}{number}" for kind in ("images", "networks", "volumes") for number in range(each)
        ]
        self.refusals = dict.fromkeys((each for each in self.things if each.startswith("/images")), refusals)
        self.resets = resets

    def truth(self, endpoint: str, question: Question) -> Answer:
        """Lists of what there is."""
        names = [each.rpartition("/")[2] for each in self.things if each.startswith(f"/{endpoint}/")]
        if endpoint in {"images", "networks"}:
            return [{"Id": name, "Name": name, "RepoTags": [name], "Labels": LABELS} for name in names]
        if endpoint == "volumes":
            return {"Volumes": [{"Name": name, "Labels": LABELS} for name in names]}
        return super().truth(endpoint, question)

    def removed(self, _: str, question: Question) -> Answer:
        """Of one thing."""
        if self.resets:
            self.resets -= 1
            return Wire(())
        if self.refusals.get(question.path, 0):
            self.refusals[question.path] -= 1
            return Status(409, {"message": "image has dependent child images"})
        self.things.remove(question.path)
        return []


async def reap(daemon: HonestDocker) -> Reaped:
    """By an engine that has just been entered."""
    with short_directory() as directory:
        async with context_in(directory) as context:
            with served(directory, daemon), closing(daemon):
                async with DockerEngine(context, endpoint=f"unix://{directory}/docker.sock") as engine:
                    return await engine.reap(RUN)


@pytest.mark.parametrize(
    ("version", "most"), [("20.10.24", removal.AT_ONCE), ("27.1.0", removal.MOST_AT_ONCE), ("", removal.AT_ONCE)]
)
async def test_as_many_at_once_as_the_daemons_version_takes(version: str, most: int) -> None:
    """Known from the first answer on."""
    daemon = Slow(version, containers=80)
    found = await reap(daemon)
    assert (len(found.removed), found.left) == (80, ())
    assert daemon.peak == most


async def test_what_is_no_container_goes_as_fast() -> None:
    """Images, networks and volumes: as many at once as containers, and all are named."""
    daemon = Furnished(each=30)
    found = await reap(daemon)
    assert daemon.things == []
    assert (len(found.removed), found.left) == (90, ())
    assert daemon.peak == removal.MOST_AT_ONCE


async def test_an_image_that_others_are_made_of_is_tried_again() -> None:
    """As containers are: it goes once those are gone; what never goes is named."""
    daemon = Furnished(each=4, refusals=2)
    stays = "/images/images0"
    daemon.refusals[stays] = removal.ATTEMPTS
    found = await reap(daemon)
    assert daemon.things == [stays]
    assert (len(found.removed), found.left) == (11, ("image images0",))


async def test_a_daemon_that_goes_away_amid_them_is_away() -> None:
    """It is no leftover, but to be tried again by whoever asked."""
    with pytest.raises(EngineUnavailable) as gone:
        await reap(Furnished(each=4, resets=1))
    assert gone.value.is_away


class Deaf(Slow):
    """Hangs up on the first removal, and tells of no end."""

    def removed(self, _: str, question: Question) -> Answer:
        """Nothing at first."""
        if self.asked["remove"] == 1:
            return Wire(())
        del self.containers[question.path.split("/")[2]]
        return Status(204)


async def test_a_payload_is_let_go_once() -> None:
    """Stopped again after the daemon was away, it is removed at once: nobody would say that it ended meanwhile."""
    daemon = Deaf("27.1.0", containers=1)
    workload = Workload(name="web", engine="docker", image="payload")
    with short_directory() as directory:
        async with context_in(directory) as context:
            with served(directory, daemon):
                async with DockerEngine(
                    context, endpoint=f"unix://{directory}/docker.sock", patience=Patience(farewell=2.0)
                ) as engine:
                    engine._instances["w"] = Instance(
                        "w", workload, Phase.READY, container_id=next(iter(daemon.containers))
                    )
                    with pytest.raises(EngineUnavailable):
                        await engine.stop(["w"])
                    with anyio.fail_after(1.5):
                        await engine.stop(["w"])
                daemon.close()
    assert daemon.containers == {}


async def test_a_daemon_that_hangs_amid_them_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not once for each of them: what is left is named, with the reason."""
    monkeypatch.setattr(removal, "STALLED_SECONDS", 0.5)

    def hang(daemon: Furnished, *_: object) -> Answer:
        daemon.closed.wait(20)
        return Status(500)

    monkeypatch.setattr(Furnished, "removed", hang)
    daemon = Furnished(each=10)
    with anyio.fail_after(10):
        found = await reap(daemon)
    assert (len(found.left), found.problem) == (30, removal.STALLED)


async def test_news_of_an_engine_that_is_given_up_begin_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """They still come, from the thread that listens; a task that began after the cancellation would never end."""
    begun: list[str] = []

    async def reconcile(_: DockerEngine) -> None:
        begun.append("reconcile")

    monkeypatch.setattr(DockerEngine, "_reconcile", reconcile)
    daemon = HonestDocker()
    with short_directory() as directory, served(directory, daemon):
        async with (
            context_in(directory) as context,
            DockerEngine(context, endpoint=f"unix://{directory}/docker.sock") as engine,
        ):
            engine._hear_of_a_gap(replaced=False)
            await anyio.wait_all_tasks_blocked()
            assert begun == ["reconcile"]
            engine._reconciling = False
            engine._group.cancel_scope.cancel()
            engine._hear_of_a_gap(replaced=False)
        daemon.close()
    assert begun == ["reconcile"]
