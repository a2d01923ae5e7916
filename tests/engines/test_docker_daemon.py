"""The Docker engine and a daemon of its own, which may be emptied, crash, and come back."""

import os
import select
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from docker import APIClient
from engines import docker_guest
from engines.contract import CASES, Case, opened

from density.engines.docker import DockerEngine, engine
from density.errors import EngineUnavailable
from density.model import LABEL, Phase, Readiness, Workload

pytestmark = [pytest.mark.anyio, pytest.mark.docker, pytest.mark.root]

STOP_SECONDS = 60.0


class Daemon:
    """A second dockerd, without a network, that lives in one directory."""

    def __init__(self, directory: Path) -> None:
        self.endpoint = f"unix://{directory}/docker.sock"
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and come back when it answers."""
        # Left behind by a crash; a process that nobody has reaped yet would be taken for the daemon's own.
        (self._directory / "pid").unlink(missing_ok=True)
        (self._directory / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        command = ["dockerd", "-H", self.endpoint, "--bridge", "none", "--iptables=false"]
        command += [f"--{option}={self._directory / place}" for option, place in places.items()]
        self._process = process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "API listen on" in line:
                break
        else:
            pytest.fail("".join(said))
        self._drain = threading.Thread(target=process.communicate)
        self._drain.start()

    def crash(self) -> None:
        """End it at once, and its containerd with it; containers live on."""
        assert self._process is not None
        containerd = os.pidfd_open(int((self._directory / "exec/containerd/containerd.pid").read_text()))
        self._process.kill()
        self._drain.join()
        # The kernel ends it with its parent; a successor that still meets it waits for it in vain.
        select.select([containerd], [], [], STOP_SECONDS)
        os.close(containerd)

    def stop(self) -> None:
        """End it with all that belongs to it, and take its mounts away."""
        assert self._process is not None
        self._process.terminate()
        self._drain.join(STOP_SECONDS)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([path for path in mounts if path.startswith(f"{self._directory}/")]):
            subprocess.run(["umount", mount], check=True)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon with nothing in it."""
    found = Daemon(tmp_path_factory.mktemp("d"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[APIClient]:
    """The daemon, past the engine."""
    found = APIClient(base_url=daemon.endpoint, version="auto", timeout=30)
    yield found
    found.close()


@pytest.fixture
def case(daemon: Daemon) -> Case:
    """The engine at this daemon."""
    docker = next(case for case in CASES if case.name == "docker")
    return replace(docker, make=lambda context: DockerEngine(context, endpoint=daemon.endpoint))


def names(client: APIClient) -> set[str]:
    """Every container of the daemon."""
    return {found["Names"][0].lstrip("/") for found in client.containers(all=True)}


async def test_reap_of_all_runs(case: Case, client: APIClient, runtime_dir: Path) -> None:
    """Reaping without a run removes those of all runs, and no container that density did not make."""
    async with opened(case, runtime_dir) as one, opened(case, runtime_dir) as other:
        await one.launch(case.ready, 2)
        await other.launch(case.ready, 1)
        image = client.images()[0]["Id"]
        client.create_container(image, name="foreign", labels={"density": "no"})
        reaped = await one.engine.reap(None)
        assert len(reaped.removed) == 3
        assert reaped.left == ()
        assert names(client) == {"foreign"}
        client.remove_container("foreign")


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


async def test_daemon_crashes_and_comes_back(case: Case, daemon: Daemon, runtime_dir: Path) -> None:
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


async def test_daemon_gone(case: Case, daemon: Daemon, runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
            monkeypatch.setattr(engine, "GONE_SECONDS", 0.0)
            with pytest.raises(EngineUnavailable, match="has not answered"):
                await session.engine.launch(case.ready, "c-00002")
        finally:
            await anyio.to_thread.run_sync(daemon.start)


async def test_daemon_away_while_waiting(case: Case, daemon: Daemon, runtime_dir: Path) -> None:
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
        assert change.failure.kind in {"exited", "timeout"}
