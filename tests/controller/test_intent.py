"""What a run is about to create is on disk before any engine is asked, and for as long as any of it may be there."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from density.controller.intent import Intent, Place, declare, declared, fulfil, intent_of, intent_path, read_intent
from density.controller.paths import known_runs
from density.controller.session import Session
from density.engines.simulated import SimulatedEngine
from density.errors import DensityError, UsageError
from density.model import Reaped, Workload
from density.profile.spec import Endpoints, Profile, Ramp
from density.state import RunState

RUN = "20260101-000000-0a01"
WORKLOADS = (
    Workload(name="c", engine="docker"),
    Workload(name="v", engine="libvirt"),
    Workload(name="p", engine="native"),
)
REAL = Profile(name="t", workloads=WORKLOADS)
SIMULATED = Profile(
    name="t",
    workloads=(Workload(name="web", engine="simulated"),),
    ramp=Ramp(max_instances=2, settle_seconds=0.1, hold_seconds=0),
)
enter_really = SimulatedEngine.__aenter__


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """State and runtime directories of the test's own."""
    for module in ("data", "intent"):
        monkeypatch.setattr(f"density.controller.{module}.state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr("density.controller.paths.runtime_base", lambda: tmp_path / "base")


def _intent(profile: Profile = REAL) -> Intent:
    return intent_of(profile, run_id=RUN, run_dir=Path("/r"), directories=[Path("/run/density", RUN)])


def test_an_intent_comes_back_as_it_was_declared() -> None:
    """Engines with their endpoints, directories, and how every name begins; for root's eyes alone."""
    intent = _intent()
    declare(intent)
    assert declared() == {RUN: intent_path(RUN)}
    assert read_intent(intent_path(RUN)) == intent
    assert intent.names == f"density-{RUN}-"
    assert intent.slice == "density202601010000000a01"
    assert stat.S_IMODE(intent_path(RUN).parent.stat().st_mode) == 0o700
    assert [path.name for path in intent_path(RUN).parent.iterdir()] == [f"{RUN}.json"]


def test_endpoints_are_those_that_the_engines_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile's word, else DOCKER_HOST, else the default; a clean-up in another shell has to find the same."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    default = (
        Place("docker", "unix:///var/run/docker.sock"), Place("libvirt", "qemu:///system"), Place("native"),
    )  # fmt: skip
    assert _intent().places == default
    monkeypatch.setenv("DOCKER_HOST", "unix:///other.sock")
    assert _intent().places[0].endpoint == "unix:///other.sock"
    asked = replace(REAL, endpoints=Endpoints(docker="unix:///a.sock", libvirt="qemu:///session"))
    assert [place.endpoint for place in _intent(asked).places] == ["unix:///a.sock", "qemu:///session", ""]
    assert _intent(asked).places[1].endpoints == Endpoints(libvirt="qemu:///session")
    assert _intent(SIMULATED).places == ()


def test_what_is_no_intent_of_this_version_is_one_error(tmp_path: Path) -> None:
    """Its file's name still says which run it was of."""
    declare(_intent())
    for text in ("", "[]", '{"run_id": 3}', "\x00" * 50):
        intent_path(RUN).write_text(text)
        with pytest.raises(DensityError, match="is no intent that this version reads"):
            read_intent(intent_path(RUN))
        assert list(declared()) == [RUN]
    fulfil(RUN)
    fulfil(RUN)
    assert declared() == {}


def _session(tmp_path: Path) -> Session:
    return Session(run_id=RUN, run_dir=tmp_path / "runs" / RUN, told=lambda _: None)


def test_the_intent_is_there_before_an_engine_and_gone_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An engine finds it when it is entered; once everything is removed, nothing of it is left."""
    seen: list[Intent] = []

    async def enter(self: SimulatedEngine) -> SimulatedEngine:
        seen.append(read_intent(intent_path(RUN)))
        return await enter_really(self)

    monkeypatch.setattr(SimulatedEngine, "__aenter__", enter)
    anyio.run(_session(tmp_path).run, SIMULATED, RunState(), [])
    (intent,) = seen
    assert (intent.run_id, intent.pid, intent.run_dir) == (RUN, os.getpid(), tmp_path / "runs" / RUN)
    assert intent.directories == (tmp_path / "base" / RUN, tmp_path / "state/data" / RUN)
    assert declared() == {}


def test_the_intent_stays_with_what_could_not_be_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that a later clean-up finds it, and the next run sees it."""

    async def reap(*_: object) -> Reaped:
        return Reaped(left=("density-x",))

    monkeypatch.setattr(SimulatedEngine, "reap", reap)
    anyio.run(_session(tmp_path).run, SIMULATED, RunState(), [])
    assert list(declared()) == [RUN]


def test_nothing_is_created_where_the_intent_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No engine is entered, exit code 2, and the runtime directory goes again."""

    async def enter(_: SimulatedEngine) -> SimulatedEngine:
        pytest.fail("an engine was asked")

    monkeypatch.setattr(SimulatedEngine, "__aenter__", enter)
    (tmp_path / "state").write_text("a file is in the way")
    with pytest.raises(UsageError, match="nothing was started"):
        anyio.run(_session(tmp_path).run, SIMULATED, RunState(), [])
    assert known_runs(tmp_path / "base") == {}
