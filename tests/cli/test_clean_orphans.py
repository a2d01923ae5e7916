"""`density clean` compares what engines list with processes and mounts: what outlived a dead run's containers."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.leftovers import FakeEngine, site

from density.controller import orphans
from density.controller.clean import CleanReport, clean
from density.controller.intent import Place, declare, declared, intent_of, intent_path, read_intent
from density.controller.orphans import containers_of
from density.engines.docker import shims
from density.events import InstanceChanged
from density.host.slice import slice_name
from density.model import Phase, Workload
from density.profile.spec import Profile
from density.record.codec import encode
from density.record.schema import EVENTS, SCHEMA_VERSION

pytestmark = pytest.mark.anyio
DEAD = "20260101-000000-00aa"
RECORDED, IN_SLICE, FOREIGN = "a1" * 32, "b2" * 32, "c3" * 32
LAYER, SANDBOX = "d4" * 32, "e5e5e5e5e5e5"


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed, with one container in its record and one in its slice; where its Docker is."""
    for module in ("data", "intent"):
        monkeypatch.setattr(f"density.controller.{module}.state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr("density.controller.clean.cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(orphans, "MOUNT_SECONDS", 0.1)
    monkeypatch.setattr(shims, "SHIM_SECONDS", 0.3)
    profile = Profile(name="p", workloads=(Workload(name="w", engine="simulated"),))
    there = [tmp_path / "base" / DEAD]
    declare(intent_of(profile, run_id=DEAD, run_dir=tmp_path / "runs", directories=there, beside=[docker(tmp_path)]))
    record(tmp_path / "runs", RECORDED[:12])
    cgroup = tmp_path / "root/sys/fs/cgroup" / f"{slice_name(DEAD)}.slice"
    (cgroup / f"docker-{IN_SLICE}.scope").mkdir(parents=True)
    mount(tmp_path, "/sys/fs/cgroup", kind="cgroup2")
    return tmp_path


def docker(directory: Path) -> Place:
    """The run's Docker; its socket's directory is gone unless a test makes it."""
    return Place("docker", f"unix://{directory}/docker/docker.sock")


def record(run_dir: Path, container: str) -> None:
    """Of a run with one instance, in this container."""
    run_dir.mkdir()
    created = InstanceChanged(1.0, "w-00001", "w", Phase.CREATED, details={"container": container})
    with closing(sqlite3.connect(run_dir / "run.sqlite")) as connection, connection:
        connection.execute(EVENTS)
        connection.execute("INSERT INTO event VALUES (1, 1.0, 'instance_changed', ?)", (encode(created),))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def mount(directory: Path, point: str, *, kind: str = "overlay") -> None:
    """Something is mounted there."""
    mountinfo = directory / "root/proc/self/mountinfo"
    mountinfo.parent.mkdir(parents=True, exist_ok=True)
    with mountinfo.open("a") as file:
        file.write(f"30 20 0:25 / {point} rw - {kind} {kind} rw\n")


@contextmanager
def shim(directory: Path, container: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like a container's shim, in the host's table of processes."""
    words = ["containerd-shim-runc-v2", "-c", "read _; :", "-namespace", "moby", "-id", container]
    with subprocess.Popen(words, executable="/bin/sh", stdin=subprocess.PIPE) as process:
        (directory / "root/proc" / str(process.pid)).symlink_to(f"/proc/{process.pid}")
        try:
            yield process
        finally:
            process.kill()


async def cleaned(directory: Path, engine: FakeEngine) -> CleanReport:
    """What the clean-up of this host does, where this is the run's Docker."""
    return await clean(DEAD, site=site(directory, {docker(directory): engine}))


async def test_shims_of_containers_that_no_engine_lists_are_ended(host: Path) -> None:
    """Those in the run's record and those in its slice; not that of somebody's container."""
    with shim(host, RECORDED) as one, shim(host, IN_SLICE) as other, shim(host, FOREIGN) as foreign:
        report = await cleaned(host, FakeEngine({}))
        assert (one.wait(5), other.wait(5), foreign.poll()) == (-9, -9, None)
    [found] = [part.removed for part in report.parts if part.name == "shims"]
    assert {str(one.pid), str(other.pid)} == {words.split()[1] for words in found}
    assert report.left == ()


async def test_shims_of_containers_that_an_engine_lists_go_on(host: Path) -> None:
    """It did not remove one of the run's: what belongs to it is the engine's."""
    with shim(host, RECORDED) as process:
        report = await cleaned(host, FakeEngine({DEAD: ["a"]}, stuck=["a"]))
        assert process.poll() is None
    assert report.left == ("a",)


async def test_shims_go_on_where_nobody_says_what_is_listed(host: Path) -> None:
    """The daemon does not answer, and may come back; one whose socket is gone for good lists nothing any more."""
    (host / "docker").mkdir()
    silent = FakeEngine({}, refuses="no socket")
    with shim(host, RECORDED) as process:
        assert (await cleaned(host, silent)).open == (DEAD,)
        assert process.poll() is None
        (host / "docker").rmdir()
        await cleaned(host, silent)
        assert process.wait(5) == -9


async def test_a_record_that_is_not_ours_names_no_container(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could have written any container's id into it."""
    intents = {DEAD: read_intent(intent_path(DEAD))}
    assert set(containers_of([DEAD], intents, host / "root")[DEAD].ids) == {RECORDED[:12], IN_SLICE[:12]}
    monkeypatch.setattr("os.geteuid", lambda: (host / "runs").stat().st_uid + 1)
    assert set(containers_of([DEAD], intents, host / "root")[DEAD].ids) == {IN_SLICE[:12]}


async def test_mounts_that_stay_are_named(host: Path) -> None:
    """By container, by layer, by network namespace, as Docker knew them before; others' are nobody's business."""
    store = host / "root/var/lib/docker"
    layer = store / f"image/overlay2/layerdb/mounts/{RECORDED}/mount-id"
    settings = store / f"containers/{RECORDED}/config.v2.json"
    for path in (layer, settings):
        path.parent.mkdir(parents=True)
    layer.write_text(LAYER)
    settings.write_text(f'{{"NetworkSettings":{{"SandboxKey":"/var/run/docker/netns/{SANDBOX}"}}}}')
    tasks = "/run/containerd/io.containerd.runtime.v2.task/moby"
    ours = [
        f"/run/docker/netns/{SANDBOX}",
        f"{tasks}/{IN_SLICE}/rootfs",
        f"{tasks}/{RECORDED}/rootfs",
        f"/var/lib/docker/overlay2/{LAYER}/merged",
    ]
    for point in (*ours, f"{tasks}/{FOREIGN}/rootfs", "/run/docker/netns/default", "/", "/home"):
        mount(host, point)
    report = await cleaned(host, FakeEngine({}))
    assert sorted(words.split()[1] for words in report.left) == sorted(ours)
    assert list(declared()) == [DEAD]


async def test_mounts_of_containers_that_an_engine_lists_are_not_asked_about(host: Path) -> None:
    """The engine unmounts them when it removes the container."""
    mount(host, f"/run/containerd/io.containerd.runtime.v2.task/moby/{RECORDED}/rootfs")
    report = await cleaned(host, FakeEngine({DEAD: ["a"]}, stuck=["a"]))
    assert report.left == ("a",)


async def test_a_record_that_cannot_be_read_is_done_without(host: Path) -> None:
    """What is in the slice is enough."""
    (host / "runs/run.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 2000)
    with shim(host, IN_SLICE) as process:
        report = await cleaned(host, FakeEngine({}))
        assert process.wait(5) == -9
    assert (report.left, declared()) == ((), {})
