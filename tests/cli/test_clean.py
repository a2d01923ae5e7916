"""`density clean`: it removes what runs left behind, and keeps away from runs that are alive, and from strangers."""

import errno
import os
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.leftovers import FakeEngine, leave_behind, site

from density.cli import main
from density.controller.clean import CleanReport, Part, clean
from density.controller.host_lock import CLEANING, Holder, find_holder, try_lock
from density.controller.intent import Place, declare, declared, intent_of
from density.controller.leftovers import find_leftovers
from density.controller.paths import RunLock, known_runs
from density.engines.base import Engine, EngineContext
from density.errors import UsageError
from density.host import traces
from density.host.slice import slice_name
from density.model import EngineName, Workload, object_name
from density.profile.spec import Profile

pytestmark = pytest.mark.anyio
DEAD, ALSO_DEAD, ALIVE = "20260101-000000-00aa", "20260101-001000-00bb", "20260101-002000-00cc"
DOCKER = Place("docker", "unix:///var/run/docker.sock")
ELSEWHERE = Place("docker", "unix:///elsewhere.sock")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both."""
    return str(request.param)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs declare what they create; of these tests alone, as is the cache."""
    for module in ("data", "intent"):
        monkeypatch.setattr(f"density.controller.{module}.state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr("density.controller.clean.cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "state"


def declared_at(directory: Path, run_id: str, *places: Place) -> None:
    """What a run that was killed had declared: these engines, its runtime directory, and one for its disks."""
    profile = Profile(name="p", workloads=(Workload(name="w", engine="simulated"),))
    directories = [directory / "base" / run_id, directory / "disks" / run_id]
    declare(intent_of(profile, run_id=run_id, run_dir=directory / "runs", directories=directories, beside=places))


def parts(report: CleanReport) -> dict[str, tuple[str, ...]]:
    """What each part removed, where it was anything."""
    return {part.name: part.removed for part in report.parts if part.removed}


async def test_everything_goes_where_no_run_is_alive(tmp_path: Path) -> None:
    """Also what has no runtime directory any more, such as after a reboot: its label proves whose it was."""
    leave_behind(tmp_path, DEAD)
    engine = FakeEngine({DEAD: ["a"], ALSO_DEAD: ["b"]})
    report = await clean(where=[DOCKER], site=site(tmp_path, engine))
    assert parts(report) == {"docker": ("a", "b"), "files": (str(tmp_path / "base" / DEAD),)}
    assert (report.left, report.spared, report.unsure) == ((), (), ())
    assert known_runs(tmp_path / "base") == {}


async def test_a_live_run_is_spared(tmp_path: Path) -> None:
    """All else is cleaned: its own things are known by its id."""
    leave_behind(tmp_path, DEAD)
    engine = FakeEngine({DEAD: ["a"], ALIVE: ["b"], ALSO_DEAD: ["c"]})
    with RunLock(ALIVE, base=tmp_path / "base"):
        report = await clean(where=[DOCKER], site=site(tmp_path, engine))
        assert known_runs(tmp_path / "base") == {ALIVE: True}
    assert engine.held == {ALIVE: ["b"]}
    assert report.spared == (ALIVE,)


@pytest.fixture
def another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the host's lock is another user's process."""

    def found(name: str) -> Holder:
        return replace(find_holder(name), uid=os.geteuid() + 1)

    monkeypatch.setattr("density.controller.host_lock.find_holder", found)


@pytest.mark.usefixtures("another_user")
async def test_while_another_user_runs_something_records_alone_say_who_is_dead(tmp_path: Path) -> None:
    """His run's lock is where we cannot look, so what only a label says may be his; he says which run it is."""
    leave_behind(tmp_path, DEAD)
    engine = FakeEngine({DEAD: ["a"], ALIVE: ["b"], ALSO_DEAD: ["c"]})
    mine = site(tmp_path, engine)
    with try_lock(ALIVE, profile="vms", name=mine.lock or ""):
        report = await clean(where=[DOCKER], site=mine)
    assert engine.held == {ALIVE: ["b"], ALSO_DEAD: ["c"]}
    assert (report.spared, report.unsure) == ((ALIVE,), (ALSO_DEAD,))
    assert report.holder is not None
    assert (report.holder.run_id, report.holder.pid) == (ALIVE, os.getpid())


@pytest.mark.usefixtures("another_user")
async def test_nobody_keeps_our_leftovers_by_holding_the_lock_in_their_name(tmp_path: Path) -> None:
    """Our own record says that the run is dead, whatever another user's process says."""
    leave_behind(tmp_path, DEAD)
    engine = FakeEngine({DEAD: ["a"]})
    mine = site(tmp_path, engine)
    with try_lock(DEAD, name=mine.lock or ""):
        report = await clean(where=[DOCKER], site=mine)
    assert (engine.held, report.spared) == ({}, ())


async def test_the_run_that_holds_the_host_s_lock_is_alive(tmp_path: Path) -> None:
    """Its own lock may be missing: the kernel says that a process of ours holds the host's for it."""
    leave_behind(tmp_path, ALIVE, DEAD)
    engine = FakeEngine({ALIVE: ["a"], DEAD: ["b"]})
    mine = site(tmp_path, engine)
    with try_lock(ALIVE, name=mine.lock or ""):
        report = await clean(where=[DOCKER], site=mine)
    assert (engine.held, report.spared) == ({ALIVE: ["a"]}, (ALIVE,))
    assert known_runs(tmp_path / "base") == {ALIVE: False}


@pytest.mark.parametrize(("run_id", "everything"), [(ALIVE, False), (None, True)])
async def test_a_live_run_goes_where_it_was_asked_for(tmp_path: Path, run_id: str | None, *, everything: bool) -> None:
    """By its id, or with everything."""
    engine = FakeEngine({ALIVE: ["b"]})
    with RunLock(ALIVE, base=tmp_path / "base"):
        report = await clean(run_id, everything=everything, where=[DOCKER], site=site(tmp_path, engine))
    assert engine.held == {}
    assert report.spared == ()


async def test_one_run_alone(tmp_path: Path) -> None:
    """With its id, nothing of another is touched, be it alive or dead."""
    leave_behind(tmp_path, DEAD, ALSO_DEAD)
    engine = FakeEngine({DEAD: ["a"], ALSO_DEAD: ["b"]})
    await clean(DEAD, where=[DOCKER], site=site(tmp_path, engine))
    assert engine.held == {ALSO_DEAD: ["b"]}
    assert known_runs(tmp_path / "base") == {ALSO_DEAD: False}


async def test_the_places_that_a_run_declared_are_looked_at(tmp_path: Path) -> None:
    """Another daemon's socket, and directories elsewhere; then its declaration goes too."""
    declared_at(tmp_path, DEAD, ELSEWHERE)
    (tmp_path / "disks" / DEAD).mkdir(parents=True)
    elsewhere = FakeEngine({DEAD: ["a"]})
    report = await clean(where=[DOCKER], site=site(tmp_path, {DOCKER: FakeEngine({}), ELSEWHERE: elsewhere}))
    assert parts(report) == {
        f"docker at {ELSEWHERE.endpoint}": ("a",),
        "files": (str(tmp_path / "disks" / DEAD),),
    }
    assert declared() == {}


async def test_a_place_that_does_not_answer_keeps_the_declaration(tmp_path: Path) -> None:
    """What it may still hold is looked for by the next clean-up."""
    declared_at(tmp_path, DEAD, ELSEWHERE)
    gone = FakeEngine({}, refuses="no socket")
    report = await clean(where=[DOCKER], site=site(tmp_path, {DOCKER: FakeEngine({}), ELSEWHERE: gone}))
    assert report.open == (DEAD,)
    assert list(declared()) == [DEAD]


async def test_an_engine_whose_socket_has_no_directory_any_more_never_comes_back(tmp_path: Path) -> None:
    """It was a daemon of a test, say; there is nobody to ask again."""
    gone = [Place("docker", f"unix://{tmp_path}/gone/docker.sock"),
            Place("libvirt", f"qemu+unix:///system?socket={tmp_path}/gone/libvirt-sock")]  # fmt: skip
    declared_at(tmp_path, DEAD, *gone)
    report = await clean(site=site(tmp_path, FakeEngine({}, refuses="no socket")))
    assert (report.open, declared()) == ((), {})


async def test_a_declaration_of_a_run_that_is_alive_stays(tmp_path: Path) -> None:
    """Though its runtime directory is not below the base that is cleaned, such as with another XDG_RUNTIME_DIR."""
    with RunLock(ALIVE, base=tmp_path / "other") as lock:
        profile = Profile(name="p", workloads=(Workload(name="w", engine="simulated"),))
        declare(intent_of(profile, run_id=ALIVE, run_dir=tmp_path, directories=[lock.directory], beside=[DOCKER]))
        engine = FakeEngine({ALIVE: ["a"]})
        report = await clean(where=[DOCKER], site=site(tmp_path, engine))
    assert (engine.held, report.spared, list(declared())) == ({ALIVE: ["a"]}, (ALIVE,), [ALIVE])


async def test_a_declaration_that_cannot_be_read_stays(tmp_path: Path, state: Path) -> None:
    """Its run is cleaned as far as it is known; only asked for by its id is it done with."""
    declared_at(tmp_path, DEAD, ELSEWHERE)
    (state / "intents" / f"{DEAD}.json").write_text("{}")
    mine = site(tmp_path, FakeEngine({DEAD: ["a"]}))
    report = await clean(where=[DOCKER], site=mine)
    assert (parts(report), report.open, list(declared())) == ({"docker": ("a",)}, (DEAD,), [DEAD])
    assert (await clean(DEAD, where=[DOCKER], site=mine)).open == ()
    assert declared() == {}


async def test_a_declaration_that_goes_meanwhile_is_of_a_run_that_left_nothing(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run removed everything itself between two looks: nothing of it is open."""
    there = {DEAD: state / "intents" / f"{DEAD}.json"}
    monkeypatch.setattr("density.controller.dead_runs.declared", lambda: there)
    report = await clean(where=[DOCKER], site=site(tmp_path, FakeEngine({})))
    assert (report.open, report.left) == ((), ())


async def test_what_is_left_keeps_its_files(tmp_path: Path) -> None:
    """A VM that would not go still needs its overlay, and the directory says whose it is; others' files go."""
    leave_behind(tmp_path, DEAD, ALSO_DEAD)
    engine = FakeEngine({DEAD: ["a"], ALSO_DEAD: ["b"]}, stuck=["a"])
    report = await clean(where=[DOCKER], site=site(tmp_path, engine))
    assert report.left == ("a",)
    assert report.parts[0].problem == "it is locked up"
    assert known_runs(tmp_path / "base") == {DEAD: False}


async def test_an_engine_that_is_not_there_is_told_and_no_error(tmp_path: Path) -> None:
    """The rest is cleaned all the same."""
    leave_behind(tmp_path, DEAD)
    report = await clean(where=[DOCKER], site=site(tmp_path, FakeEngine({}, refuses="no socket")))
    assert report.parts[0] == Part(name="docker", unavailable="docker: no socket")
    assert (report.left, report.open) == ((), ())
    assert known_runs(tmp_path / "base") == {}


async def test_a_fault_in_one_engine_does_not_stop_the_rest(tmp_path: Path) -> None:
    """It counts as something left, because what the engine holds is not known."""
    engine = FakeEngine({DEAD: ["a"]})

    def make(place: Place, _: EngineContext) -> Engine:
        if place == DOCKER:
            raise ZeroDivisionError("division by zero")
        return engine

    mine = replace(site(tmp_path, engine), engines=make)
    report = await clean(where=[DOCKER, ELSEWHERE], site=mine)
    assert report.left == ("what docker may still hold (ZeroDivisionError: division by zero)",)
    assert engine.held == {}


async def test_what_is_no_run_id_reaches_no_engine(tmp_path: Path) -> None:
    """A path with `..` could name anything."""
    with pytest.raises(UsageError, match="is not a run id"):
        await clean("../x", site=site(tmp_path, {}))


async def test_no_run_starts_meanwhile(tmp_path: Path) -> None:
    """The clean-up holds the host's lock: what a run launched could be taken for leftovers."""
    held: list[str] = []
    mine = site(tmp_path, {})

    def make(_: Place, __: EngineContext) -> Engine:
        held.append(find_holder(mine.lock or "").run_id)
        return FakeEngine({})

    await clean(where=[DOCKER], site=replace(mine, engines=make))
    assert held == [CLEANING]
    assert find_holder(mine.lock or "").pid == 0


async def test_one_run_can_be_cleaned_without_the_host_s_lock(tmp_path: Path) -> None:
    """Its label alone is asked for, so other runs may start while an engine lets it wait; live ones are not touched."""
    held: list[int] = []
    mine = site(tmp_path, {})
    engine = FakeEngine({DEAD: ["a"], ALIVE: ["b"]})

    def make(_: Place, __: EngineContext) -> Engine:
        held.append(find_holder(mine.lock or "").pid)
        return engine

    with RunLock(ALIVE, base=tmp_path / "base"), try_lock(ALIVE, name=mine.lock or ""):
        await clean(DEAD, where=[DOCKER], site=replace(mine, engines=make, lock=None))
    await clean(DEAD, where=[DOCKER], site=replace(mine, engines=make, lock=None))
    assert held == [os.getpid(), 0]
    assert engine.held == {ALIVE: ["b"]}


async def test_without_the_host_s_lock_it_is_one_run_or_none(tmp_path: Path) -> None:
    """Which runs are dead is known only while none can start."""
    with pytest.raises(ValueError, match="lock"):
        await clean(where=[DOCKER], site=replace(site(tmp_path, {}), lock=None))


def touch(root: Path, *names: str) -> set[Path]:
    """Files, or with a slash at the end directories, in libvirt's places."""
    paths = {root / name for name in names}
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    return paths


async def test_traces_of_libvirt_go_by_whole_run_ids_of_ours_alone(tmp_path: Path) -> None:
    """Logs, state and directories of a dead run; none of foreign domains, of live runs, or of which no record tells."""
    root = tmp_path / "root"
    short = object_name(DEAD, "")[:20]
    leave_behind(tmp_path, DEAD)
    ours = touch(
        root,
        f"var/log/libvirt/qemu/density-{DEAD}-web-00001.log",
        f"var/log/libvirt/qemu/density-{DEAD}-web-00001.log.0",
        f"var/log/libvirt/lxc/density-{DEAD}-lxc-00001.log",
        f"run/libvirt/lxc/density-{DEAD}-lxc-00001.dev/",
        f"run/libvirt/lxc/density-{DEAD}-lxc-00001.devpts/",
        f"run/libvirt/lxc/density-{DEAD}-lxc-00001.fuse/",
        f"run/libvirt/qemu/density-{DEAD}-web-00001.xml",
        f"var/lib/libvirt/qemu/domain-7-{short}/",
        f"var/lib/libvirt/qemu/channel/target/domain-7-{short}/",
    )
    others = touch(
        root,
        "var/log/libvirt/qemu/density-prod.log",
        "var/log/libvirt/lxc/density-20260101-000000.log",
        f"var/log/libvirt/qemu/density-{DEAD}.log",
        f"var/log/libvirt/qemu/density-{ALIVE}-web-00001.log",
        f"var/log/libvirt/qemu/density-{ALSO_DEAD}-web-00001.log",
        "var/lib/libvirt/qemu/domain-8-density-prod/",
        "var/lib/libvirt/qemu/domain-9-density-20251231-235/",
        "run/libvirt/qemu/density-prod.xml",
    )
    with RunLock(ALIVE, base=tmp_path / "base"):
        report = await clean(where=[], site=site(tmp_path, {}))
    assert [path for path in ours if path.exists()] == []
    assert [path for path in others if not path.exists()] == []
    assert {Path(name) for name in parts(report)["files"]} == ours | {tmp_path / "base" / DEAD}
    assert report.spared == (ALIVE,)
    assert ALSO_DEAD in report.unproven


async def test_traces_alone_are_enough_for_a_run_that_was_asked_for(tmp_path: Path) -> None:
    """Something was removed, so it is no run that nobody knows (T10)."""
    (log,) = touch(tmp_path / "root", f"var/log/libvirt/qemu/density-{DEAD}-web-00001.log")
    report = await clean(DEAD, site=site(tmp_path, {}))
    assert parts(report) == {"files": (str(log),)}


async def test_units_of_systemd_go_without_a_cgroup(tmp_path: Path) -> None:
    """Their properties alone are there: those of a dead run go, those of a live one stay."""
    names = {run_id: f"{slice_name(run_id)}.slice" for run_id in (DEAD, ALIVE)}
    gone, kept = (tmp_path / f"root/run/systemd/system.control/{names[each]}.d" for each in (DEAD, ALIVE))
    gone.mkdir(parents=True)
    kept.mkdir()
    with RunLock(ALIVE, base=tmp_path / "base"):
        report = await clean(site=site(tmp_path, {}))
    assert (gone.exists(), kept.exists()) == (False, True)
    assert (parts(report), report.spared) == ({"slices": (names[DEAD],)}, (ALIVE,))


async def test_a_short_name_that_a_live_run_may_have_is_not_touched(tmp_path: Path) -> None:
    """Runs of the same ten minutes share it."""
    neighbour = f"{DEAD[:12]}59-00dd"
    leave_behind(tmp_path, DEAD)
    (path,) = touch(tmp_path / "root", f"var/lib/libvirt/qemu/domain-7-{object_name(DEAD, '')[:20]}/")
    with RunLock(neighbour, base=tmp_path / "base"):
        await clean(site=site(tmp_path, {}))
    assert path.exists()
    await clean(site=site(tmp_path, {}))
    assert not path.exists()


@pytest.mark.parametrize("engine", ["libvirt", "native"])
async def test_a_short_name_keeps_no_directory_of_a_run_that_has_an_intent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: EngineName
) -> None:
    """Its own are removed; the intent stays for the next time, where what is kept may be of this run at all."""
    monkeypatch.setattr("density.controller.intent.state_dir", lambda: tmp_path / "state")
    neighbour = f"{DEAD[:12]}59-00dd"
    leave_behind(tmp_path, DEAD)
    directories = [tmp_path / "base" / DEAD]
    profile = Profile(name="t", workloads=(Workload(name="w", engine=engine),))
    declare(intent_of(profile, run_id=DEAD, run_dir=tmp_path / "r", directories=directories))
    touch(tmp_path / "root", f"var/lib/libvirt/qemu/domain-7-{object_name(DEAD, '')[:20]}/")
    with RunLock(neighbour, base=tmp_path / "base"):
        report = await clean(DEAD, site=site(tmp_path, FakeEngine({})))
    assert not directories[0].exists()
    assert (DEAD in report.open, DEAD in declared()) == ((True, True) if engine == "libvirt" else (False, False))


async def test_a_short_name_of_a_run_that_starts_meanwhile_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory appears once it was looked at who is alive; without the host's lock nothing prevents that."""
    neighbour = f"{DEAD[:12]}59-00dd"
    leave_behind(tmp_path, DEAD)
    (tmp_path / "root/var/lib/libvirt/qemu").mkdir(parents=True)
    path = tmp_path / f"root/var/lib/libvirt/qemu/domain-8-{object_name(DEAD, '')[:20]}"
    find = traces.find

    def late(run_id: str, where: traces.Places, **those: Collection[str]) -> list[Path]:
        if "alive" in those:
            path.mkdir(exist_ok=True)
        return find(run_id, where, **those)

    monkeypatch.setattr(traces, "find", late)
    with RunLock(neighbour, base=tmp_path / "elsewhere"):
        await clean(DEAD, site=replace(site(tmp_path, {}), lock=None))
    assert path.exists()


@contextmanager
def looking_like(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with this command line; it waits for its input to end."""
    shell = [words[0], "-c", "read _", *words[1:]]
    with subprocess.Popen(shell, executable="/bin/sh", stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def machine(run_id: str) -> tuple[str, ...]:
    """How libvirt starts a QEMU."""
    return ("/usr/bin/qemu-system-x86_64", "-name", f"guest={object_name(run_id, 'w-00001')},debug-threads=on", "-S")


async def test_machines_that_no_engine_knows_are_ended(tmp_path: Path) -> None:
    """A QEMU, a container of libvirt's, a payload of a dead run; not a live one's, nor that of a foreign domain."""
    leave_behind(tmp_path, DEAD)
    with (
        looking_like(*machine(DEAD)) as vm,
        looking_like("/usr/lib/libvirt/libvirt_lxc", "--name", object_name(DEAD, "w-00002"), "--console", "21") as lxc,
        looking_like("/payload", "--id", "w-00003", "--run", DEAD) as payload,
        looking_like(*machine(ALIVE)) as alive,
        looking_like(*machine("prod")) as foreign,
        looking_like("vi", "-name", f"guest={object_name(DEAD, 'w-00001')}") as editor,
        RunLock(ALIVE, base=tmp_path / "base"),
    ):
        report = await clean(site=site(tmp_path, {}))
        ended = [each.poll() is not None for each in (vm, lxc, payload, alive, foreign, editor)]
        assert ended == [True, True, True, False, False, False]
        assert len(parts(report)["processes"]) == 3
        assert ALIVE in report.spared


async def test_a_process_of_which_no_record_tells_is_named_and_kept(tmp_path: Path) -> None:
    """Anybody can give a process such a command line; asked for by its run's id it goes."""
    with looking_like(*machine(DEAD)) as vm:
        report = await clean(site=site(tmp_path, {}))
        assert vm.poll() is None
        assert DEAD in report.unproven
        await clean(DEAD, site=site(tmp_path, {}))
        assert vm.wait(5) < 0


async def test_what_was_being_made_when_density_died_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories of the cache, of /tmp and of a run without a name yet, once they are old; nothing else of these."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    old = touch(tmp_path, "base/.new-x-1/", "cache/payload.ab12cd_9/", "cache/initramfs-00ff.k3k3k3k3/")
    old |= touch(
        tmp_path, "tmp/density-kernel-ab12cd_9/", "root/var/tmp/density-kernel-x/", f"state/intents/{DEAD}.new"
    )
    kept = touch(tmp_path, "cache/payload-0123456789abcdef", "cache/zig/", "cache/vmlinuz-6.1.0", "base/.new-y-2/")
    for path in [*old, *kept - {tmp_path / "base/.new-y-2/"}]:
        os.utime(path, (1, 1))
    await clean(site=site(tmp_path, {}))
    assert [path for path in old if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


async def test_where_no_temporary_file_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every disk is full, of what a run left: it is removed, which is the way to have room again."""

    def full() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", full)
    leave_behind(tmp_path, DEAD)
    await clean(site=site(tmp_path, {}))
    assert not (tmp_path / "base" / DEAD).exists()


async def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    """Neither below a run's directory nor in its place."""
    leave_behind(tmp_path, DEAD)
    precious = touch(tmp_path, "precious/file")
    (tmp_path / "base" / DEAD / "link").symlink_to(tmp_path / "precious")
    declared_at(tmp_path, ALSO_DEAD)
    (tmp_path / "disks").mkdir()
    (tmp_path / "disks" / ALSO_DEAD).symlink_to(tmp_path / "precious")
    await clean(site=site(tmp_path, {}))
    assert not (tmp_path / "disks" / ALSO_DEAD).is_symlink()
    assert known_runs(tmp_path / "base") == {}
    assert [path for path in precious if not path.exists()] == []


async def test_the_next_run_sees_leftovers(tmp_path: Path) -> None:
    """How many of which kind, of which runs, and whether they still run; not what is its own, or alive."""
    leave_behind(tmp_path, DEAD)
    declared_at(tmp_path, ALSO_DEAD)
    engine = FakeEngine({DEAD: ["a", "b", "image c"], ALIVE: ["d"]})
    with looking_like(*machine(ALSO_DEAD)), RunLock(ALIVE, base=tmp_path / "base"):
        found = await find_leftovers([engine], run_id=ALIVE, base=tmp_path / "base", root=tmp_path / "root")
    assert found.runs == (DEAD, ALSO_DEAD)
    assert dict(found.things) == {"containers": 2, "other objects of Docker's": 1, "processes": 1, "directories": 1}
    assert found.running == 4
    assert found.words.count("density clean") == 1


async def test_a_clean_host_has_nothing_to_say(tmp_path: Path) -> None:
    """No warning."""
    found = await find_leftovers([], run_id=ALIVE, base=tmp_path / "base", root=tmp_path / "root")
    assert (found.runs, found.words) == ((), "")


OPEN = (
    "run r3 may have more, where nobody answered or a live run has a name like it: `density clean` looks again;"
    " if that engine is gone for good,"
    " remove STATE/intents/r3.json"
)
REPORTS = {
    "nothing": (CleanReport(parts=(Part(name="docker"),)), 0, ["nothing to clean"]),
    "unavailable": (
        CleanReport(parts=(Part(name="docker", unavailable="docker: no socket"),)),
        0,
        ["not looked at: docker: no socket", "elsewhere nothing was left behind"],
    ),
    "removed": (
        CleanReport(
            parts=(Part(name="docker", removed=("a", "b", "c", "d", "e")), Part(name="files", removed=("/x",)))
        ),
        0,
        ["docker: removed 5: a, b, c, ... e", "files: removed 1: /x"],
    ),
    "left": (
        CleanReport(parts=(Part(name="docker", removed=("a",), left=("b",)),)),
        4,
        ["docker: removed 1: a", "docker: LEFT 1: b"],
    ),
    "kept": (
        CleanReport(parts=(), spared=("r1",), unproven=("r2",), open=("r3",)),
        0,
        [
            "kept, as it is alive: run r1 (`density clean r1` removes it all the same)",
            "kept, as only names say that it was a run of density's: r2 (`density clean r2` removes it all the same)",
            OPEN,
            "nothing to clean",
        ],
    ),
}


@pytest.mark.parametrize("case", REPORTS)
def test_what_the_command_says(
    case: str, state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was removed, what is left, and exit code 4 where something is."""
    report, code, lines = REPORTS[case]

    async def fake(*_: object, **__: object) -> CleanReport:
        return report

    monkeypatch.setattr("density.cli.clean.clean", fake)
    assert main(["clean"]) == code
    assert capsys.readouterr().out.replace(str(state), "STATE").splitlines() == lines


UNKNOWN = "there is no run nope: no directory of it, and nothing that it left behind; `density runs` lists those that"
SKIPPED = CleanReport(parts=(Part(name="docker", unavailable="docker: no socket"),))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[CleanReport], None]:
    """Says what the clean-up comes to; there are no runs, alive or kept."""
    monkeypatch.setattr("density.cli.clean.runtime_base", lambda: tmp_path / "alive")
    monkeypatch.setenv("DENSITY_RUNS_DIR", str(tmp_path / "runs"))

    def say(report: CleanReport) -> None:
        async def fake(*_: object, **__: object) -> CleanReport:
            return report

        monkeypatch.setattr("density.cli.clean.clean", fake)

    return say


@pytest.mark.parametrize("report", [CleanReport(parts=(Part(name="docker"),)), SKIPPED])
def test_a_run_that_nobody_knows(
    report: CleanReport, found: Callable[[CleanReport], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Is one sentence and exit code 2: a mistyped id has cleaned nothing."""
    found(report)
    assert main(["clean", "nope"]) == 2
    said = capsys.readouterr()
    assert "to clean" not in said.out
    assert said.err.startswith(f"error: {UNKNOWN}")


@pytest.mark.parametrize("place", ["runs/nope", "alive/nope"])
def test_a_run_that_left_nothing_but_is_known(
    place: str, found: Callable[[CleanReport], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has results, or a lock: there is nothing to clean, which is no error."""
    (tmp_path / place).mkdir(parents=True)
    found(CleanReport(parts=(Part(name="docker"),)))
    assert main(["clean", "nope"]) == 0
    assert capsys.readouterr().out == "nothing to clean\n"


def test_a_directory_that_is_no_run(found: Callable[[CleanReport], None], tmp_path: Path) -> None:
    """Its last part could be a run's id, but it is somebody's own; one that has a record is a run."""
    found(CleanReport(parts=(Part(name="docker"),)))
    photos = tmp_path / "photos"
    photos.mkdir()
    assert main(["clean", str(photos)]) == 2
    (photos / "run.sqlite").touch()
    assert main(["clean", str(photos)]) == 0


def test_a_run_of_which_only_leftovers_are_known(found: Callable[[CleanReport], None]) -> None:
    """They carry its label, so it was one."""
    found(CleanReport(parts=(Part(name="docker", removed=("a",)),)))
    assert main(["clean", "nope"]) == 0


@pytest.mark.parametrize("run", [[], ["nope"]])
def test_an_engine_that_was_named_has_to_answer(
    run: list[str], found: Callable[[CleanReport], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 5; one that was not named may be missing, and neither says that there is nothing to clean."""
    found(SKIPPED)
    assert main(["clean", *run, "--docker", "unix:///nosuch"]) == 5
    assert "not looked at: docker: no socket" in capsys.readouterr().out
    assert main(["clean", "--libvirt", "qemu:///system"]) == 0
    assert "nothing to clean" not in capsys.readouterr().out
