"""`density clean`: it removes what runs left behind, and keeps away from runs that are alive."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

from density.cli import main
from density.controller.clean import CleanReport, MakeEngine, Part, clean
from density.controller.paths import RunLock, known_runs
from density.engines.base import EngineContext
from density.errors import EngineUnavailable, UsageError
from density.events import InstanceChanged
from density.model import EngineInfo, EngineName, Prepared, Reaped, Workload

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both."""
    return str(request.param)


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What runs of this host keep is not the test's to remove."""
    for module in ("data", "intent"):
        monkeypatch.setattr(f"density.controller.{module}.state_dir", lambda: tmp_path / "state")


class Leftovers:
    """An engine that holds nothing but leftovers: run -> names."""

    name: EngineName = "docker"

    def __init__(self, held: dict[str, list[str]], *, stuck: Sequence[str] = (), refuses: str = "") -> None:
        self.held = held
        self._stuck = stuck
        self._refuses = refuses

    async def __aenter__(self) -> Self:
        if self._refuses:
            raise EngineUnavailable("docker", self._refuses)
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def reap(self, run_id: str | None) -> Reaped:
        names = [name for run, names in self.held.items() if run_id in (None, run) for name in names]
        left = [name for name in names if name in self._stuck]
        self.held = {
            run: [name for name in held if name in left or name not in names] for run, held in self.held.items()
        }
        removed = tuple(name for name in names if name not in left)
        return Reaped(removed=removed, left=tuple(left), problem="it is locked up" if left else "")

    async def describe(self) -> EngineInfo:
        raise NotImplementedError

    async def check(self, workload: Workload) -> None:
        raise NotImplementedError

    async def prepare(self, workload: Workload) -> Prepared:
        raise NotImplementedError

    async def launch(self, workload: Workload, instance_id: str) -> None:
        raise NotImplementedError

    def watch(self) -> AsyncGenerator[InstanceChanged, None]:
        raise NotImplementedError

    async def stop(self, instance_ids: Sequence[str]) -> None:
        raise NotImplementedError


class Slices:
    """Slices by run; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def __call__(self, run_id: str | None) -> tuple[Sequence[str], Sequence[str]]:
        self.asked.append(run_id)
        return [f"slice of {run_id}"], []


def makers(engine: Leftovers) -> Mapping[str, MakeEngine]:
    """As the clean-up wants its engines."""
    return {"docker": lambda _: engine}


def leave_behind(base: Path, *runs: str) -> None:
    """Runtime directories of runs that were killed."""
    for run in runs:
        (base / run).mkdir(parents=True)
        (base / run / "lock").touch()


async def test_everything_goes_where_no_run_is_alive(tmp_path: Path) -> None:
    """Also what has no runtime directory any more, such as after a reboot."""
    leave_behind(tmp_path, "r1")
    engine, slices = Leftovers({"r1": ["a"], "forgotten": ["b"]}), Slices()
    report = await clean(base=tmp_path, engines=makers(engine), slices=slices)
    assert report == CleanReport(
        parts=(
            Part(name="docker", removed=("a", "b")),
            Part(name="slices", removed=("slice of None",)),
            Part(name="files", removed=(str(tmp_path / "r1"),)),
        )
    )
    assert known_runs(tmp_path) == {}


async def test_a_live_run_is_spared(tmp_path: Path) -> None:
    """Then only runs that are known to be dead are cleaned."""
    leave_behind(tmp_path, "dead")
    engine, slices = Leftovers({"dead": ["a"], "alive": ["b"], "forgotten": ["c"]}), Slices()
    with RunLock("alive", base=tmp_path):
        report = await clean(base=tmp_path, engines=makers(engine), slices=slices)
        assert known_runs(tmp_path) == {"alive": True}
    assert engine.held == {"dead": [], "alive": ["b"], "forgotten": ["c"]}
    assert slices.asked == ["dead"]
    assert report.spared == ("alive",)


@pytest.mark.parametrize(("run_id", "everything"), [("alive", False), (None, True)])
async def test_a_live_run_goes_where_it_was_asked_for(tmp_path: Path, run_id: str | None, *, everything: bool) -> None:
    """By its id, or with everything."""
    engine = Leftovers({"alive": ["b"]})
    with RunLock("alive", base=tmp_path):
        report = await clean(run_id, everything=everything, base=tmp_path, engines=makers(engine), slices=Slices())
    assert engine.held == {"alive": []}
    assert report.spared == ()


async def test_one_run_alone(tmp_path: Path) -> None:
    """With its id, nothing of another is touched, be it alive or dead."""
    leave_behind(tmp_path, "r1", "r2")
    engine, slices = Leftovers({"r1": ["a"], "r2": ["b"]}), Slices()
    await clean("r1", base=tmp_path, engines=makers(engine), slices=slices)
    assert engine.held == {"r1": [], "r2": ["b"]}
    assert slices.asked == ["r1"]
    assert known_runs(tmp_path) == {"r2": False}


async def test_what_is_left_keeps_its_files(tmp_path: Path) -> None:
    """A VM that would not go still needs its overlay, and the directory says whose it is."""
    leave_behind(tmp_path, "r1")
    report = await clean(base=tmp_path, engines=makers(Leftovers({"r1": ["a"]}, stuck=["a"])), slices=Slices())
    assert report.left == ("a",)
    assert report.parts[0].problem == "it is locked up"
    assert known_runs(tmp_path) == {"r1": False}


async def test_an_engine_that_is_not_there_is_told_and_no_error(tmp_path: Path) -> None:
    """The rest is cleaned all the same."""
    leave_behind(tmp_path, "r1")
    engine = Leftovers({}, refuses="no socket")
    report = await clean(base=tmp_path, engines=makers(engine), slices=Slices())
    assert report.parts[0] == Part(name="docker", unavailable="docker: no socket")
    assert report.left == ()
    assert known_runs(tmp_path) == {}


async def test_a_fault_in_one_engine_does_not_stop_the_rest(tmp_path: Path) -> None:
    """It counts as something left, because what the engine holds is not known."""

    def broken(_: EngineContext) -> Leftovers:
        raise ZeroDivisionError("division by zero")

    engine = Leftovers({"r1": ["a"]})
    report = await clean(base=tmp_path, engines={"libvirt": broken} | dict(makers(engine)), slices=Slices())
    assert report.left == ("what libvirt may still hold (ZeroDivisionError: division by zero)",)
    assert engine.held == {"r1": []}


async def test_what_is_no_run_id_reaches_no_engine(tmp_path: Path) -> None:
    """A path with `..` could name anything."""
    with pytest.raises(UsageError, match="is not a run id"):
        await clean("../x", base=tmp_path, engines={}, slices=Slices())


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
    "spared": (
        CleanReport(parts=(), spared=("r1",)),
        0,
        ["kept, as it is alive: run r1 (`density clean r1` removes it all the same)", "nothing to clean"],
    ),
}


@pytest.mark.parametrize("case", REPORTS)
def test_what_the_command_says(case: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was removed, what is left, and exit code 4 where something is."""
    report, code, lines = REPORTS[case]

    async def fake(*_: object, **__: object) -> CleanReport:
        return report

    monkeypatch.setattr("density.cli.clean.clean", fake)
    assert main(["clean"]) == code
    assert capsys.readouterr().out.splitlines() == lines


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
