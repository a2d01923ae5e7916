"""What the next run says of what dead runs have left: everything that runs is counted, and no more is claimed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.leftovers import FakeEngine

from density.controller.intent import Place, declare, intent_of, intent_path
from density.controller.leftovers import Leftovers, find_leftovers
from density.engines.base import Engine
from density.errors import EngineUnavailable
from density.host.slice import slice_name
from density.model import Labelled, Workload
from density.profile.spec import Endpoints, Profile

pytestmark = pytest.mark.anyio
DEAD, OTHER, OWN = "20260101-000000-00aa", "20260101-001000-00bb", "20260101-002000-00cc"
DOCKER = Place("docker", "unix:///var/run/docker.sock")
CGROUPS = "sys/fs/cgroup"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State of the test's own, and Docker where it is by default."""
    for module in ("data", "intent"):
        monkeypatch.setattr(f"density.controller.{module}.state_dir", lambda: tmp_path / "state")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return tmp_path / "state"


def _declared(directory: Path, run_id: str, *places: Place) -> None:
    """What a dead run had declared: these places, and two directories that are not there."""
    profile = Profile(name="p", workloads=(Workload(name="w", engine="simulated"),))
    directories = [directory / "base" / run_id, directory / "disks" / run_id]
    declare(intent_of(profile, run_id=run_id, run_dir=directory / "runs", directories=directories, beside=places))


def _slices(root: Path, **pids: str) -> None:
    """A host with two hierarchies, as on v1, in the first of which these slices hold these processes."""
    (root / "proc/self").mkdir(parents=True)
    lines = [
        f"3{n} 20 0:2{n} / /{CGROUPS}/{name} rw - cgroup cgroup rw,{name}" for n, name in enumerate(("memory", "pids"))
    ]
    (root / "proc/self/mountinfo").write_text("\n".join(lines) + "\n")
    for name, text in pids.items():
        for hierarchy in ("memory", "pids"):
            below = root / CGROUPS / hierarchy / f"{name}.partition" / "docker"
            below.mkdir(parents=True)
            (below / "cgroup.procs").write_text(text if hierarchy == "memory" else "")


async def _found(directory: Path, *engines: Engine, endpoints: Endpoints = Endpoints()) -> Leftovers:
    return await find_leftovers(
        engines, run_id=OWN, base=directory / "base", root=directory / "root", endpoints=endpoints
    )


async def test_whatever_runs_in_a_dead_run_s_slice_is_counted(tmp_path: Path) -> None:
    """Of whatever image and engine, and none of it is called like a payload; not what is in this run's own slice."""
    _slices(tmp_path / "root", **{slice_name(DEAD): "11\n12\n0\n", slice_name(OTHER): "", slice_name(OWN): "13\n"})
    found = await _found(tmp_path)
    assert found.runs == (DEAD, OTHER)
    assert dict(found.things) == {"processes": 3, "slices": 2}
    assert found.running == 3


async def test_what_its_engine_lists_is_not_counted_twice(tmp_path: Path) -> None:
    """The processes of a container are in the run's slice."""
    _slices(tmp_path / "root", **{slice_name(DEAD): "11\n12\n"})
    found = await _found(tmp_path, FakeEngine({DEAD: ["a"]}))
    assert dict(found.things) == {"containers": 1, "slices": 1}
    assert found.running == 1


@pytest.mark.parametrize("where", ["state/data/{}", "disks/{}"])
async def test_a_directory_of_disks_is_counted(where: str, tmp_path: Path) -> None:
    """In the base or where the profile said; it may hold gigabytes."""
    _declared(tmp_path, DEAD)
    (tmp_path / where.format(DEAD)).mkdir(parents=True)
    found = await _found(tmp_path)
    assert (dict(found.things), found.running, found.unseen) == ({"directories": 1}, 0, ())


class _Silent(FakeEngine):
    """A Docker that does not answer."""

    async def labelled(self) -> tuple[Labelled, ...]:
        raise EngineUnavailable("docker", "it does not answer")


CASES: dict[str, tuple[Callable[[], list[Engine]], str, bool]] = {
    "asked": (lambda: [FakeEngine({})], "", True),
    "not asked": (list, "", False),
    "asked elsewhere": (lambda: [FakeEngine({})], "unix:///elsewhere.sock", False),
    "silent": (lambda: [_Silent({})], "", False),
}


@pytest.mark.parametrize("case", CASES)
async def test_an_engine_that_was_not_looked_at(case: str, tmp_path: Path) -> None:
    """The figures are called right only where every engine that the dead run declared was asked, at its endpoint."""
    make, docker, seen = CASES[case]
    _declared(tmp_path, DEAD, DOCKER, Place("native"))
    found = await _found(tmp_path, *make(), endpoints=Endpoints(docker=docker))
    assert (found.runs, found.running) == ((DEAD,), 0)
    assert found.unseen == (() if seen else (f"docker at {DOCKER.endpoint}",))
    assert ("figures of this run are right" in found.words) == seen
    assert (DOCKER.endpoint in found.words) != seen


async def test_what_a_run_declared_cannot_be_read(tmp_path: Path) -> None:
    """Nobody knows which engines it used, so nothing is claimed."""
    _declared(tmp_path, DEAD)
    intent_path(DEAD).write_text("{")
    found = await _found(tmp_path, FakeEngine({}))
    assert len(found.unseen) == 1
    assert "figures of this run are right" not in found.words


async def test_processes_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor is left for it: nothing is claimed."""

    def refuse() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("density.controller.leftovers.command_lines", refuse)
    _declared(tmp_path, DEAD)
    found = await _found(tmp_path)
    assert len(found.unseen) == 1
    assert "figures of this run are right" not in found.words
