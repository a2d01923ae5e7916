"""The comparison's rows on real engines, each with a few instances; and the parsers beside them."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import anyio
import pytest

from density.capacity.versus.figure import Figures
from density.controller.paths import cache_dir
from density.controller.versus import bed as bed_module
from density.controller.versus import building, performing, saving, serving, starting
from density.controller.versus.bed import Bed, make_bed
from density.controller.versus.building import measure_building
from density.controller.versus.performing import KINDS, Benchmarks
from density.controller.versus.saving import STATE_BYTES, measure_saving
from density.controller.versus.starting import measure_start
from density.controller.versus.storing import measure_disk
from density.model import LABEL
from density.profile.load import load_profile
from density.profile.spec import Endpoints

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few rounds as there can be."""
    for module in (building, performing, saving, serving, starting):
        monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(performing, "SECONDS", 0.02)


@asynccontextmanager
async def bed_of(runtime_dir: Path, *names: str) -> AsyncGenerator[Bed]:
    """A bed for these workloads of the shipped profile; VMs are emulated, which works everywhere."""
    profile = load_profile("versus")
    workloads = [each for each in profile.workloads if each.name in names]
    workloads = [replace(each, accelerator="tcg") if each.engine == "libvirt" else each for each in workloads]
    profile = replace(profile, workloads=tuple(workloads))
    left: list[str] = []
    run_id = f"versus-{secrets.token_hex(4)}"
    async with make_bed(profile, run_id=run_id, runtime_dir=runtime_dir, data_dir=runtime_dir, left=left) as bed:
        assert [subject.missing for subject in bed.subjects] == [""] * len(names)
        yield bed
    assert left == []


def value(figures: Figures, row: str, name: str, subject: str) -> float:
    """The first sample of a figure that was measured."""
    figure = figures.get(row, name, subject)
    assert figure is not None
    assert not figure.why, figure.why
    return figure.samples[0]


async def test_what_cannot_be_stopped_is_not_measured_beside(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance that stays ends its subject's row, with its name; what goes the second time does not."""
    monkeypatch.setattr(bed_module, "REMOVAL_SECONDS", 0.05)
    async with bed_of(runtime_dir, "process") as bed:
        (subject,) = bed.subjects
        engine = bed.engines["native"]
        real, asked = engine.stop, 0

        async def stop(instance_ids: Sequence[str]) -> None:
            nonlocal asked
            asked += 1
            if asked not in {2, 2 + bed_module.ATTEMPTS + 1}:
                return
            await real(instance_ids)

        with monkeypatch.context() as stubborn:
            stubborn.setattr(engine, "stop", stop)
            await bed.stop(subject.workload, [await bed.launch(subject.workload)])
            assert asked == 2
            figures = Figures()
            await measure_start(bed, figures, lambda _: None)
        missed = figures.get("start", "", subject.name)
        assert missed is not None
        assert f"{subject.name}-00002 cannot be stopped" in missed.why


def has_containerd_store() -> bool:
    """Whether the daemon's images are in containerd's store, as they are by default from Docker 29 on."""
    from docker import APIClient  # noqa: PLC0415 — half a second, for one test alone

    with closing(APIClient(base_url="unix:///var/run/docker.sock", version="auto", timeout=30)) as client:
        return any("io.containerd.snapshotter" in word for pair in client.info()["DriverStatus"] for word in pair)


def say(_: str) -> None:
    """Nobody listens."""


@pytest.mark.docker
async def test_a_container_starts_takes_disk_and_works_like_a_process(runtime_dir: Path) -> None:
    """Phases come in order; the image is the payload's one layer; every benchmark gives a rate, in both."""
    figures = Figures()
    async with bed_of(runtime_dir, "process", "container") as bed:
        await measure_start(bed, figures, say)
        await measure_disk(bed, figures, say, endpoints=Endpoints())
        benchmarks = Benchmarks(bed, figures, say, disk=str(cache_dir()))
        await benchmarks.alone()
        await benchmarks.crowd({"process": 3, "container": 3})
    created, started, ready = (
        value(figures, "start", f"alone.{phase}", "container") for phase in ("created", "started", "ready")
    )
    assert 0 < created <= started <= ready
    assert ready > value(figures, "start", "alone.ready", "process")
    image, program = (value(figures, "disk", "image", subject) for subject in ("container", "process"))
    # The same program, byte for byte; containerd's store keeps it packed as well.
    assert image > program if has_containerd_store() else image == program
    assert value(figures, "disk", "own", "container") > 0
    for kind in KINDS:
        for name, subject in ((f"alone.{kind}", "process"), (f"alone.{kind}", "container")):
            assert value(figures, "performance", name, subject) > 0
        assert value(figures, "performance", f"density.{kind}", "container") > 0
        assert value(figures, "performance", f"density.{kind}.native", "container") > 0


@pytest.mark.docker
async def test_a_commit_keeps_the_files_and_leaves_no_image(runtime_dir: Path, tmp_path: Path) -> None:
    """The image grows by the file that the container was given, another container has it; both images go again."""
    figures = Figures()
    async with bed_of(runtime_dir, "container") as bed:
        await measure_saving(bed, figures, say, endpoints=Endpoints(), directory=tmp_path)
        await measure_building(bed, figures, say, endpoints=Endpoints())
        removal = import_module("density.engines.docker.removal")
        asking = import_module("density.engines.docker.asking")
        async with asking.connected("") as clients:
            label = f"{LABEL}={bed.context.run_id}"
            assert await clients.call(lambda client: client.images(filters={"label": label})) == []
            assert await removal.remove_things(clients, bed.context.run_id, removal.Pace(1)) == removal.RemovedThings()
    assert STATE_BYTES <= value(figures, "saving", "bytes", "container") < STATE_BYTES * 1.01
    assert value(figures, "saving", "restore", "container") > 0
    image, added = (value(figures, "building", name, "container") for name in ("bytes", "again.bytes"))
    assert image > building.BASE_BYTES > added > 0


@pytest.mark.docker
async def test_a_service_is_measured_only_where_its_image_is(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is pulled: a daemon without the image, and a VM without the disk, say how to get them."""
    asking = import_module("density.engines.docker.asking")
    assert not await asking.present("", "density-none:none")
    monkeypatch.setattr(serving, "SERVICES", ("memcached",))
    monkeypatch.setattr(asking, "present", _absent)
    figures = Figures()
    async with bed_of(runtime_dir, "process", "container") as bed:
        await serving.measure_services(bed, figures, say, endpoints=Endpoints())
    found = figures.get("services", "memcached", "container")
    assert found is not None
    assert found.why == "its image is not here; `density profiles memcached` says how to get it"


async def _absent(_: str, __: str) -> bool:
    return False


@pytest.mark.docker
async def test_images_of_a_run_are_found_by_its_label(runtime_dir: Path) -> None:
    """What a crash left of a comparison goes by label, as containers do."""
    build = import_module("density.engines.docker.build")
    removal = import_module("density.engines.docker.removal")
    asking = import_module("density.engines.docker.asking")
    run_id = f"versus-{secrets.token_hex(4)}"
    context = build.context_tar(b"base", b"program")
    async with asking.connected("") as clients:
        await clients.call(
            lambda client: build._build(client, context, f"density-built:{run_id}", {LABEL: run_id}, fresh=True)
        )
        found = await removal.remove_things(clients, run_id, removal.Pace(1))
        assert found == removal.RemovedThings(removed=(f"image density-built:{run_id}",))
        assert await clients.call(lambda client: client.images(filters={"label": f"{LABEL}={run_id}"})) == []


@pytest.mark.libvirt
async def test_a_vm_is_saved_and_goes_on(runtime_dir: Path, tmp_path: Path) -> None:
    """The same payload answers again after its VM was in a file, which is gone; it works, too, but has no disk."""
    figures = Figures()
    async with bed_of(runtime_dir, "process", "vm") as bed:
        await measure_saving(bed, figures, say, endpoints=Endpoints(), directory=tmp_path)
        await measure_disk(bed, figures, say, endpoints=Endpoints())
        await Benchmarks(bed, figures, say, disk=str(cache_dir())).alone()
    assert value(figures, "saving", "bytes", "vm") > STATE_BYTES
    assert value(figures, "saving", "restore", "vm") > 0
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == []
    assert value(figures, "disk", "image", "vm") > value(figures, "disk", "image", "process")
    for kind in ("integer", "memory", "syscall", "file"):
        assert value(figures, "performance", f"alone.{kind}", "vm") > 0
    flushed = figures.get("performance", "alone.disk", "vm")
    assert flushed is not None
    assert flushed.why == performing.NO_DISK


@pytest.mark.libvirt
async def test_the_null_guest_is_saved_without_a_word(runtime_dir: Path, tmp_path: Path) -> None:
    """It answers nothing, so it is restored when it runs; its state is far less than a guest's memory."""
    figures = Figures()
    async with bed_of(runtime_dir, "null") as bed:
        await measure_saving(bed, figures, say, endpoints=Endpoints(), directory=tmp_path)
    assert 0 < value(figures, "saving", "bytes", "null") < 16 * 2**20


@pytest.mark.libvirt
def test_the_serial_socket_is_found_in_a_domain() -> None:
    """Only the first serial port's path, and nothing where there is no port."""
    save = import_module("density.engines.libvirt.save")
    xml = "<domain><devices><serial type='unix'><source mode='connect' path='/run/s1'/></serial></devices></domain>"
    assert save.serial_path(xml) == "/run/s1"
    assert save.serial_path("<domain><devices/></domain>") == ""


def test_what_a_second_build_adds_is_its_new_layers() -> None:
    """Layers of both images are shared; steps of the history without a layer take nothing."""
    build = import_module("density.engines.docker.build")
    answers = import_module("density.engines.docker.answers")
    first = answers.Image.of({"Id": "1", "RootFS": {"Layers": ["a", "b", "c"]}})
    second = answers.Image.of({"Id": "2", "RootFS": {"Layers": ["a", "x", "y"]}})
    assert build.added_bytes([0, 5, 0, 7, 100], first, second) == 12
    assert build.added_bytes([0, 5, 7, 100], first, first) == 0


def test_blocks_are_counted_with_everything_below(tmp_path: Path) -> None:
    """A directory's use is that of its files and directories, by blocks and not by length."""
    usage = import_module("density.engines.docker.usage")
    before = usage.allocated(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(b"x" * 5000)
    assert usage.allocated(tmp_path) >= before + 5000
    assert usage.allocated(tmp_path) % 512 == 0


def test_a_containers_layer_is_found_by_its_root(tmp_path: Path) -> None:
    """Whichever store its image is in; without a layer or a log that can be seen, nothing is said."""
    usage = import_module("density.engines.docker.usage")
    layer, log, process = tmp_path / "snapshots/7", tmp_path / "containers/id", tmp_path / "proc/9"
    for directory in (layer / "fs", log, process):
        directory.mkdir(parents=True)
    (layer / "fs/written").write_bytes(b"x" * 5000)
    mountinfo = f"1 0 0:9 / / rw shared:1 - overlay overlay rw,lowerdir=/a,upperdir={layer}/fs,workdir={layer}/work\n"
    (process / "mountinfo").write_text(f"2 1 0:5 / /proc rw - proc proc rw\n{mountinfo}")
    described = {"State": {"Pid": 9}, "LogPath": str(log / "id-json.log")}
    of = import_module("density.engines.docker.answers").Container.of
    assert usage.kept_bytes(of(described), root=tmp_path) == usage.allocated(layer) + usage.allocated(log)
    assert usage.kept_bytes(of({**described, "LogPath": ""}), root=tmp_path) is None
    assert usage.kept_bytes(of({**described, "State": {"Pid": 0}}), root=tmp_path) is None
    (process / "mountinfo").write_text("1 0 0:9 / / rw shared:1 - btrfs /dev/sda rw\n")
    assert usage.kept_bytes(of(described), root=tmp_path) is None
