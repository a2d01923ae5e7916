"""The Docker engine on a real daemon: what the contract of all engines does not say."""

import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from docker import APIClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool
from engines import docker_guest
from engines.contract import CASES, MIB, Session, context_in, opened
from support.addresses import free_address

from density.engines.docker import DockerEngine, removal
from density.engines.docker.client import Clients, Endpoint
from density.engines.docker.session import Patience
from density.errors import EngineUnavailable, UsageError
from density.model import LABEL, Failure, Phase, Readiness, Workload, object_name
from density.payload.channel import Channel

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

DOCKER = next(case for case in CASES if case.name == "docker")


@pytest.fixture(scope="module")
def client() -> Iterator[APIClient]:
    """The daemon, past the engine."""
    found = APIClient(base_url=docker_guest.ENDPOINT, version="auto", timeout=30)
    yield found
    found.close()


@pytest.fixture(scope="module")
def image(client: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The test's own image."""
    name = docker_guest.build(client, tmp_path_factory.mktemp("guest"))
    yield name
    docker_guest.remove(client, name)


def guest(image: str, *command: str, by: str, argument: str = "", seconds: float = 30.0) -> Workload:
    """A workload of the test's own image."""
    ready = Readiness(by, argument)  # type: ignore[arg-type]
    return Workload(name="g", engine="docker", image=image, command=command, ready=ready, ready_timeout_seconds=seconds)


async def failure_of(session: Session, workload: Workload) -> Failure:
    """How one launch of this workload failed."""
    [instance_id] = await session.launch(workload)
    failure = (await session.until(instance_id, Phase.FAILED)).failure
    assert failure is not None
    return failure


@pytest.mark.parametrize(
    ("command", "by", "argument"),
    [
        (("wait", "up"), "running", ""),
        (("wait", "now accepting connections"), "log", "accepting c.*s$"),
        (("listen", "8080"), "tcp", "8080"),
        pytest.param(("http", "8080", "204 No Content"), "http", "8080/health", marks=pytest.mark.root),
    ],
    ids=["running", "log", "tcp", "http"],
)
async def test_ready(image: str, runtime_dir: Path, command: tuple[str, ...], by: str, argument: str) -> None:
    """Any image can be found ready, in a container without a network, by nothing but its own loopback and log."""
    async with opened(DOCKER, runtime_dir) as session:
        [instance_id] = await session.launch(guest(image, *command, by=by, argument=argument))
        assert session.phases(instance_id) == [Phase.CREATED, Phase.STARTED, Phase.READY]


async def test_ready_when_healthy(image: str, runtime_dir: Path) -> None:
    """An image's own HEALTHCHECK says when it is ready."""
    async with opened(DOCKER, runtime_dir) as session:
        [instance_id] = await session.launch(guest(f"{image}-healthy", "wait", "up", by="healthy"))
        assert session.phases(instance_id)[-1] is Phase.READY


@pytest.mark.parametrize(
    ("command", "by", "argument"),
    [
        (("wait", "up"), "log", "never said"),
        (("wait", "up"), "tcp", "8080"),
        pytest.param(("http", "8080", "503 Busy"), "http", "8080/", marks=pytest.mark.root),
    ],
    ids=["log", "tcp", "http"],
)
async def test_never_ready(image: str, runtime_dir: Path, command: tuple[str, ...], by: str, argument: str) -> None:
    """What does not come up in time has failed, with what it said last, and does not stay."""
    async with opened(DOCKER, runtime_dir) as session:
        failure = await failure_of(session, guest(image, *command, by=by, argument=argument, seconds=1.0))
        assert failure.kind == "timeout"
        assert by in failure.message
        assert failure.evidence == (("up",) if command[0] == "wait" else ())
        assert await session.leftovers() == ()


@pytest.mark.parametrize("by", ["running", "log"])
async def test_unhealthy_is_lost(image: str, runtime_dir: Path, client: APIClient, by: str) -> None:
    """A container whose HEALTHCHECK fails after it was ready is lost, with what the check said, and does not stay."""
    async with opened(DOCKER, runtime_dir) as session:
        argument = "up" if by == "log" else ""
        [instance_id] = await session.launch(guest(f"{image}-sick", "wait", "up", by=by, argument=argument))
        failure = (await session.until(instance_id, Phase.LOST)).failure
        assert failure is not None
        assert failure.kind == "unhealthy"
        assert failure.evidence == ("the database is gone", "up")
        await anyio.to_thread.run_sync(until_gone, client, session.context.run_id)


def until_gone(client: APIClient, run_id: str) -> None:
    """Wait until the daemon has no container of a run any more."""
    deadline = time.monotonic() + 10
    while client.containers(all=True, filters={"label": f"{LABEL}={run_id}"}):
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_never_healthy(image: str, runtime_dir: Path) -> None:
    """A HEALTHCHECK that only fails makes no instance ready, and is told with its words, also beside another way."""
    async with opened(DOCKER, runtime_dir) as session:
        sick = guest(f"{image}-sick", "wait", "up", by="healthy", seconds=2.0)
        failure = await failure_of(session, sick)
        assert failure.kind == "timeout"
        assert "the database is gone" in failure.message
        assert failure.evidence[-1] == "up"


@pytest.mark.root
async def test_one_instance_does_not_vouch_for_another(image: str, runtime_dir: Path) -> None:
    """In the host's own network only the instance that listens is ready; the other one is told whose port it wants."""
    port = free_address().rpartition(":")[2]
    async with opened(DOCKER, runtime_dir) as session:
        for by, argument in (("http", f"{port}/"), ("tcp", port)):
            workload = guest(image, "stubborn", port, "200 OK", by=by, argument=argument, seconds=20.0)
            workload = replace(workload, name=by, network="host")
            ids = await session.launch(workload, 2)
            ends = {instance_id: session.phases(instance_id)[-1] for instance_id in ids}
            assert sorted(ends.values()) == [Phase.FAILED, Phase.READY]
            [failure] = [change.failure for change in session.changes if change.failure and change.workload == by]
            assert failure.kind == "port_taken"
            assert port in failure.evidence[0]
            await session.engine.stop(ids)


async def test_ends_before_ready(image: str, runtime_dir: Path) -> None:
    """A container that ends before it is ready has failed with its exit code and its last words."""
    async with opened(DOCKER, runtime_dir) as session:
        failure = await failure_of(session, guest(image, "say", "no luck today", "3", by="log", argument="lucky"))
        assert failure == Failure("exited", "ended with exit code 3", ("no luck today",), exit_code=3)
        assert await session.leftovers() == ()


async def test_out_of_memory(runtime_dir: Path) -> None:
    """A payload that its memory limit kills is known to have been killed by its own limit."""
    workload = Workload(name="o", engine="docker", memory_bytes=16 * MIB, touch_bytes=16 * MIB - 4096)
    async with opened(DOCKER, runtime_dir) as session:
        failure = await failure_of(session, workload)
        assert failure.kind == "own_limit"
        assert [(own.ceiling, own.limit) for own in failure.own_limits] == [("memory.instance", 16 * MIB)]
        assert "137" in failure.message


async def test_start_refused(image: str, runtime_dir: Path, client: APIClient) -> None:
    """A container that the daemon cannot start has failed in the daemon's own words, and is gone."""
    workload = Workload(
        name="w",
        engine="docker",
        image=image,
        command=("wait", "up"),
        environment={"A": "B"},
        ready=Readiness("running"),
    )
    async with opened(DOCKER, runtime_dir) as session:
        name = object_name(session.context.run_id, "w-00001")
        client.create_container(image, name=name)
        try:
            failure = await failure_of(session, workload)
            assert failure.kind == "engine"
            assert "already in use" in failure.message
            assert await session.leftovers() == ()
            assert client.inspect_container(name)["Name"] == f"/{name}", "a foreign container was removed"
        finally:
            client.remove_container(name, force=True)


async def test_limits_reach_the_kernel(runtime_dir: Path, client: APIClient) -> None:
    """Memory and CPUs asked for are the container's limits, and it has no network."""
    workload = Workload(name="l", engine="docker", memory_bytes=64 * MIB, cpus=0.25)
    async with opened(DOCKER, runtime_dir) as session:
        [instance_id] = await session.launch(workload)
        found = client.inspect_container(object_name(session.context.run_id, instance_id))["HostConfig"]
        assert (found["Memory"], found["NanoCpus"], found["NetworkMode"]) == (64 * MIB, 250_000_000, "none")


async def test_payload_answers_pings(runtime_dir: Path) -> None:
    """A payload in a container is reached over the channel, and says which kernel it runs on."""
    async with opened(DOCKER, runtime_dir) as session:
        [instance_id] = await session.launch(DOCKER.ready)
        ready = await session.until(instance_id, Phase.READY)
        assert ready.details["kernel"]
        assert await session.context.channel.ping(instance_id) > 0


async def test_stop_lets_payloads_go_first(runtime_dir: Path) -> None:
    """A payload ends by itself when it is stopped: its container has ended before the daemon is asked to remove it."""
    async with opened(DOCKER, runtime_dir) as session:
        ids = await session.launch(DOCKER.ready, 3)
        channel = session.context.channel
        await session.engine.stop(ids[:2])
        assert [channel.pingable(instance_id) for instance_id in ids] == [False, False, True]
        assert Phase.LOST not in {change.phase for change in session.changes}


@pytest.mark.parametrize(("at_once", "told"), [(removal.AT_ONCE, [1] * 6), (removal.MOST_AT_ONCE, [6])])
async def test_payloads_go_all_at_once_where_that_locks_no_daemon_up(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, told: list[int]
) -> None:
    """Before Docker 23.0 each goes with its own removal, few at a time: hundreds that end together lock it up."""
    monkeypatch.setattr(removal, "removals_at_once", lambda _: at_once)
    dismiss, asked = Channel.dismiss, list[int]()

    async def noted(self: Channel, instance_ids: Sequence[str] | None = None) -> None:
        asked.append(len(instance_ids or ()))
        await dismiss(self, instance_ids)

    monkeypatch.setattr(Channel, "dismiss", noted)
    async with opened(DOCKER, runtime_dir) as session:
        ids = await session.launch(DOCKER.ready, 6)
        await session.engine.stop(ids)
        for instance_id in ids:
            assert session.phases(instance_id)[-2:] == [Phase.STOPPING, Phase.REMOVED]
        assert asked == told


async def test_stopped_while_launching(runtime_dir: Path) -> None:
    """Stopping an instance that is not ready yet ends its launch, as failed, and removes it."""
    never = DOCKER.never
    assert never is not None
    workload = Workload(name="c", engine="docker", ready=never.ready)
    async with opened(DOCKER, runtime_dir) as session:
        await session.engine.prepare(workload)
        async with anyio.create_task_group() as group:
            group.start_soon(session.engine.launch, workload, "c-00001")
            await session.until("c-00001", Phase.STARTED)
            await session.engine.stop(["c-00001"])
        change = await session.until("c-00001", Phase.FAILED)
        assert change.failure is not None
        assert change.failure.kind == "cancelled"
        await session.until("c-00001", Phase.REMOVED)
        assert await session.leftovers() == ()


@pytest.fixture
def device() -> Iterator[str]:
    """A network device that leads nowhere."""
    name = f"dt{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


@pytest.mark.parametrize(
    ("driver", "pool"),
    [
        ("bridge", IPAMPool(subnet="10.213.7.0/29")),
        pytest.param("macvlan", IPAMPool(subnet="10.213.8.1/29", iprange="10.213.8.6/30"), marks=pytest.mark.root),
    ],
    ids=["bridge", "macvlan"],
)
async def test_network_runs_out_of_addresses(
    runtime_dir: Path, client: APIClient, request: pytest.FixtureRequest, driver: str, pool: IPAMPool
) -> None:
    """What `prepare` says is free is exactly what can be had; the next launch fails for want of an address."""
    name = f"density-test-{uuid.uuid4().hex[:6]}"
    ipam = IPAMConfig(pool_configs=[pool])
    options = {"parent": request.getfixturevalue("device")} if driver == "macvlan" else {}
    client.create_network(name, driver=driver, ipam=ipam, internal=driver == "bridge", options=options)
    try:
        workload = Workload(name="n", engine="docker", network=name)
        async with opened(DOCKER, runtime_dir) as session:
            prepared = await session.engine.prepare(workload)
            [(found, usable)] = {**prepared.networks, **prepared.pools}.items()
            if driver == "bridge":
                assert Path("/sys/class/net", found).exists()  # noqa: ASYNC240 — sysfs answers at once
            else:
                assert found == name
            ids = await session.launch(workload, usable + 1)
            ends = [session.phases(instance_id)[-1] for instance_id in ids]
            assert sorted(ends) == [Phase.FAILED, *[Phase.READY] * usable]
            [failure] = [change.failure for change in session.changes if change.failure]
            assert failure.kind == "no_address"
            with pytest.raises(UsageError, match="no free address"):
                await session.engine.prepare(workload)
    finally:
        client.remove_network(name)


async def test_refusals_name_the_way_out(image: str, runtime_dir: Path) -> None:
    """A network or an image that is not there is refused in one sentence that says what to do."""
    async with opened(DOCKER, runtime_dir) as session:
        with pytest.raises(UsageError, match=r"no network 'nowhere'; there are .*bridge.*docker network create"):
            await session.engine.prepare(Workload(name="n", engine="docker", network="nowhere"))
        with pytest.raises(UsageError, match=r"'localhost:1/none' cannot be had: .*docker pull"):
            await session.engine.prepare(guest("localhost:1/none", by="running"))
        for refuse in (session.engine.prepare, session.engine.check):
            for unchecked in (image, f"{image}-unchecked"):
                with pytest.raises(UsageError, match="has no HEALTHCHECK"):
                    await refuse(guest(unchecked, "wait", "up", by="healthy"))
            with pytest.raises(UsageError, match="comes after 1 s, and ready_timeout is 1 s"):
                await refuse(guest(f"{image}-healthy", "wait", "up", by="healthy", seconds=1.0))
        with pytest.raises(UsageError, match=r"'localhost:1/none' cannot be had"):
            await session.engine.check(guest("localhost:1/none", by="running"))


async def test_describes_its_daemons(runtime_dir: Path) -> None:
    """The daemon's processes, cgroup driver and root directory are known before anything was launched."""
    async with opened(DOCKER, runtime_dir) as session:
        info = await session.engine.describe()
    assert info.facts["cgroup_driver"] in {"cgroupfs", "systemd"}
    assert info.facts["root_dir"].startswith("/")
    for name, pid in info.daemons.items():
        assert Path(f"/proc/{pid}/comm").read_text().strip() == name  # noqa: ASYNC240 — procfs answers at once


async def test_no_daemon(runtime_dir: Path) -> None:
    """An endpoint where nobody listens is refused on entering, with the way to a daemon."""
    async with context_in(runtime_dir) as context:
        with pytest.raises(EngineUnavailable, match="apt-get install"):
            async with DockerEngine(context, endpoint=f"unix://{runtime_dir}/nothing.sock"):
                pass


async def test_one_connection_a_client() -> None:
    """However many containers it asks about, a client keeps a single connection."""
    clients = Clients(Endpoint(docker_guest.ENDPOINT), concurrency=2)
    await clients.connect()

    def ask(client: APIClient) -> None:
        for number in range(30):
            with pytest.raises(NotFound):
                client.inspect_container(f"density-nobody-{number}")

    before = _open_sockets()
    await clients.call(ask)
    assert _open_sockets() <= before + 1
    clients.close()


async def test_leaves_no_connections(image: str, runtime_dir: Path) -> None:
    """However instances became ready, failed or were waited for, what was opened is closed when the engine is left."""
    before = _open_sockets()
    async with opened(DOCKER, runtime_dir) as session:
        await session.launch(guest(image, "wait", "up", by="log", argument="up"), 4)
        await session.launch(guest(image, "say", "no luck", "3", by="log", argument="lucky"), 4)
        await session.launch(guest(image, "wait", "up", by="log", argument="never", seconds=0.2), 2)
    await anyio.to_thread.run_sync(until_closed, before)


def until_closed(before: int) -> None:
    """Wait until no more sockets are open than before: threads that are left alone end a moment later."""
    deadline = time.monotonic() + 5
    while _open_sockets() > before:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _open_sockets() -> int:
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += str(link.readlink()).startswith("socket:")
    return count


async def test_silence_is_no_trouble(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long time without events makes the engine listen anew, miss nothing, and not take the daemon for gone."""
    listened = [threading.Event() for _ in range(4)]
    left = iter(listened)
    events = APIClient.events

    def counted(*args: Any, **options: Any) -> Any:  # noqa: ANN401 — the SDK's own
        next(left, listened[-1]).set()
        return events(*args, **options)

    monkeypatch.setattr(APIClient, "events", counted)
    impatient = replace(DOCKER, make=lambda context: DockerEngine(context, patience=Patience(silence=0.1)))
    async with opened(impatient, runtime_dir) as session:
        [instance_id] = await session.launch(DOCKER.ready)
        await anyio.to_thread.run_sync(listened[-1].wait)
        await DOCKER.kill(session.engine, session.context.run_id, instance_id)
        await session.until(instance_id, Phase.LOST)
        assert isinstance(session.engine, DockerEngine)
        assert session.engine._feed.down_since is None


async def test_errors_of_the_body_pass_as_they_are(runtime_dir: Path) -> None:
    """What goes wrong while an engine is entered is not wrapped into a group of errors."""
    async with context_in(runtime_dir) as context:
        with pytest.raises(LookupError):
            async with DockerEngine(context):
                raise LookupError


async def test_cancelled_while_entered(runtime_dir: Path) -> None:
    """An engine whose body is cancelled is left at once."""
    async with context_in(runtime_dir) as context:
        with anyio.fail_after(10), anyio.CancelScope() as scope:
            async with DockerEngine(context):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio(runtime_dir: Path, client: APIClient) -> None:
    """The engine keeps to anyio: it runs on trio as well."""
    async with opened(DOCKER, runtime_dir) as session:
        first, second = await session.launch(DOCKER.ready, 2)
        await DOCKER.kill(session.engine, session.context.run_id, first)
        lost = await session.until(first, Phase.LOST)
        assert lost.failure == Failure("exited", "ended with exit code 137 (SIGKILL)", exit_code=137, signal="SIGKILL")
        await session.engine.stop([second])
        await session.until(second, Phase.REMOVED)
        await anyio.to_thread.run_sync(until_gone, client, session.context.run_id)
