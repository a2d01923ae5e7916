"""The Docker engine and a daemon of its own, which may be emptied, crash, and come back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from docker import APIClient
from engines import docker_guest
from engines.contract import CASES, Case, opened
from support.dockerd import Dockerd

from density.engines.docker import DockerEngine
from density.engines.docker.session import Patience
from density.errors import EngineUnavailable
from density.model import LABEL, Phase, Readiness, Workload

RUN = "20260101-000000-00aa"

pytestmark = [pytest.mark.anyio, pytest.mark.docker, pytest.mark.root]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    """A running daemon with nothing in it."""
    found = Dockerd(tmp_path_factory.mktemp("d"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def client(daemon: Dockerd) -> Iterator[APIClient]:
    """The daemon, past the engine."""
    found = APIClient(base_url=daemon.endpoint, version="auto", timeout=30)
    yield found
    found.close()


@pytest.fixture
def case(daemon: Dockerd) -> Case:
    """The engine at this daemon."""
    docker = next(case for case in CASES if case.name == "docker")
    return replace(docker, make=lambda context: DockerEngine(context, endpoint=daemon.endpoint))


def names(client: APIClient) -> set[str]:
    """Every container of the daemon."""
    return {found["Names"][0].lstrip("/") for found in client.containers(all=True)}


def test_it_has_a_network_namespace_of_its_own(daemon: Dockerd) -> None:
    """One in the host's would delete the bridge of the host's daemon."""
    mine, its = (Path(f"/proc/{pid}/ns/net").readlink() for pid in ("self", daemon.pid))
    assert its != mine


async def test_everything_with_a_label_is_found_and_removed(case: Case, client: APIClient, runtime_dir: Path) -> None:
    """Containers, images, networks and volumes of a run, by its whole id; nothing that density did not make."""
    labels = {LABEL: RUN}
    async with opened(case, runtime_dir) as session:
        await session.prepare(case.ready)
        image = client.images()[0]["Id"]
        client.create_container(image, name="foreign", labels={"density": "no", LABEL: "production"})
        made = client.create_container(image, name="ours", labels=labels)
        client.commit(made["Id"], repository="density-saved", tag=RUN)
        client.create_network("density-net", labels=labels)
        client.create_volume("density-volume", labels=labels)
        client.create_volume("foreign-volume")
        names_ = {each.name for each in await session.engine.labelled() if each.run_id == RUN}
        things = {"ours", f"image density-saved:{RUN}", "network density-net", "volume density-volume"}
        assert names_ == things
        assert RUN in {each.run_id for each in await session.engine.labelled()}
        reaped = await session.engine.reap(RUN)
        assert (set(reaped.removed), reaped.left) == (things, ())
        assert names(client) == {"foreign"}
        assert [each["Name"] for each in client.volumes()["Volumes"]] == ["foreign-volume"]
        client.remove_container("foreign")
        client.remove_volume("foreign-volume")


async def test_reap_in_any_state(case: Case, client: APIClient, runtime_dir: Path, tmp_path: Path) -> None:
    """A container is found and removed whether it was only created, runs, is paused, restarts or has ended."""
    image = docker_guest.build(client, tmp_path)
    async with opened(case, runtime_dir) as session:
        for state in ("created", "running", "paused", "restarting", "exited"):
            restart = {"Name": "always"} if state == "restarting" else {}
            ends = state in {"restarting", "exited"}
            made = client.create_container(
                image,
                ["say", "done", "1"] if ends else ["wait", "up"],
                name=f"left-{state}",
                labels={LABEL: session.context.run_id},
                host_config=client.create_host_config(restart_policy=restart, network_mode="none"),
            )
            if state != "created":
                client.start(made["Id"])
            if state == "paused":
                client.pause(made["Id"])
            if state == "exited":
                client.wait(made["Id"])
        assert len(await session.leftovers()) == 5
        assert names(client) == set()
    docker_guest.remove(client, image)


async def test_daemon_crashes_and_comes_back(case: Case, daemon: Dockerd, runtime_dir: Path) -> None:
    """What ended while the daemon was away is lost all the same, and the engine goes on with the daemon's successor."""
    async with opened(case, runtime_dir) as session:
        ids = await session.launch(case.ready, 2)
        await anyio.to_thread.run_sync(daemon.crash)
        await anyio.to_thread.run_sync(daemon.start)
        for instance_id in ids:
            await session.until(instance_id, Phase.LOST)
        again = Workload(name="again", engine="docker")
        [instance_id] = await session.launch(again)
        assert session.phases(instance_id)[-1] is Phase.READY


async def test_daemon_gone(case: Case, daemon: Dockerd, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the daemon may come back its launches fail as refused; once it is gone, the engine cannot be used."""
    async with opened(case, runtime_dir) as session:
        await session.engine.prepare(case.ready)
        await anyio.to_thread.run_sync(daemon.crash)
        try:
            await session.engine.launch(case.ready, "c-00001")
            change = await session.until("c-00001", Phase.FAILED)
            assert change.failure is not None
            assert change.failure.kind == "refused"
            with pytest.raises(EngineUnavailable, match="does not answer"):
                await session.engine.describe()
            assert isinstance(session.engine, DockerEngine)
            monkeypatch.setattr(session.engine._clients, "patience", Patience(gone=0.0))
            with pytest.raises(EngineUnavailable, match="has not answered"):
                await session.engine.launch(case.ready, "c-00002")
        finally:
            await anyio.to_thread.run_sync(daemon.start)


async def test_daemon_away_while_waiting(case: Case, daemon: Dockerd, runtime_dir: Path) -> None:
    """A launch that is waiting for its container when the daemon goes comes to an end, as data."""
    workload = Workload(name="w", engine="docker", ready=Readiness("log", "never said"), ready_timeout_seconds=5.0)
    async with opened(case, runtime_dir) as session:
        await session.engine.prepare(workload)
        async with anyio.create_task_group() as group:
            group.start_soon(session.engine.launch, workload, "w-00001")
            await session.until("w-00001", Phase.STARTED)
            await anyio.to_thread.run_sync(daemon.crash)
            await anyio.to_thread.run_sync(daemon.start)
        change = await session.until("w-00001", Phase.FAILED)
        assert change.failure is not None
        assert change.failure.kind in {"engine", "timeout"}
