"""`density compare` on recorded runs."""

import json
import shutil
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import anyio
import pytest
from support.simulation import simulate

from density.cli import main
from density.events import Event, RunStarted, Stopped
from density.profile.load import load_profile, profile_to_toml
from density.record import RecordWriter

HEAVIER = ("simulated.costs.web.memory=40MiB", "simulated.costs.db.memory=400MiB")


def record(directory: Path, seed: int, *overrides: str, until: type[Event] | None = None) -> None:
    """A run in this directory, as `density run` leaves it; as far as before such an event, where one is given."""
    profile = load_profile("simulated", overrides=["simulated.memory=8GiB", f"simulated.seed={seed}", *overrides])
    directory.mkdir(parents=True)
    (directory / "profile.toml").write_text(profile_to_toml(profile), encoding="utf-8")

    started, *events = simulate(profile).events
    assert isinstance(started, RunStarted)
    if until is not None:
        events = list(takewhile(lambda event: not isinstance(event, until), events))

    async def write() -> None:
        async with RecordWriter(directory / "run.sqlite") as writer:
            for event in (replace(started, run_id=directory.name), *events):
                writer.handle(event)

    anyio.run(write)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with runs `a`, `b` and `c` of the same kind, and `heavy`."""
    directory = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate("abc", start=1):
        record(directory / name, seed)
    record(directory / "heavy", 4, *HEAVIER)
    return directory


def compare(runs: Path, *arguments: str) -> int:
    """The exit code."""
    return main(["compare", "--runs-dir", str(runs), *arguments])


def test_a_difference_is_shown(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it is, and that it is no failure by itself."""
    assert compare(runs, "a", "heavy") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("heavy (simulated) against a (simulated)\n")
    assert "difference seen" in shown.out
    assert "capacity.hard" in shown.out
    assert shown.err == ""


def test_a_gate_that_fires_ends_in_3_and_says_which(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr for each gate: which, from what to what, and whether that is more than noise."""
    assert compare(runs, "a,b", "heavy", "--fail-if", "capacity.slo -3%", "--fail-if", "rate -90%") == 3
    failed, passed = capsys.readouterr().err.splitlines()
    assert failed.startswith("failed: capacity.slo of heavy went from ")
    assert "past the -3% allowed; more than noise: 95% interval" in failed
    assert passed.startswith("passed: rate of heavy went from ")


def test_gates_that_hold(runs: Path) -> None:
    """Exit code 0."""
    assert compare(runs, "a", "b", "--fail-if", "capacity.slo -10%") == 0


def test_groups_by_commas(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs joined by commas are one group."""
    assert compare(runs, "a,b,c", "heavy", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["baseline"]["runs"] == ["a", "b", "c"]
    assert [other["runs"] for other in found["others"]] == [["heavy"]]


def test_a_directory_may_have_a_comma(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a run and no group."""
    shutil.copytree(runs / "b", tmp_path / "b,1")
    assert compare(runs, "a", str(tmp_path / "b,1"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["others"][0]["runs"] == ["b"]


@pytest.mark.parametrize(
    ("name", "start"), [("c.html", "<!DOCTYPE html>"), ("c.md", "## b"), ("c.json", "{"), ("c.txt", "b (simulated)")]
)
def test_a_file_in_the_form_that_its_name_says(
    name: str, start: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on stdout then."""
    assert compare(runs, "a", "b", "-o", str(tmp_path / name)) == 0
    assert (tmp_path / name).read_text(encoding="utf-8").lstrip().startswith(start)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("form", "start"), [("html", "<!DOCTYPE html>"), ("markdown", "## b"), ("json", "{")])
def test_each_format_on_stdout(form: str, start: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As --format says."""
    assert compare(runs, "a", "b", "--format", form) == 0
    assert capsys.readouterr().out.lstrip().startswith(start)


def test_a_run_that_still_goes_on(runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Is told as such where its lock is held; once nobody holds it, the same record was cut off."""
    record(tmp_path / "z", 5, until=Stopped)
    for alive, doubt in (({"z": True}, "z is not over yet, and"), ({}, "z was cut off before its end.")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("density.controller.paths.known_runs", lambda _, alive=alive: alive)
            assert compare(runs, "a", str(tmp_path / "z"), "--json") == 0
        assert json.loads(capsys.readouterr().out)["doubts"][0].startswith(doubt)


BAD = [
    (["a"], "a comparison needs two runs or more: the baseline, then what is held against it"),
    (["a", "a"], "run a is named twice"),
    (["a,b", "c,a"], "run a is named twice"),
    (["a", ","], "a comparison needs a run before and after each comma, found ,"),
    (["a", "x"], "there is no run x, neither as a directory nor in"),
    (["a", "b", "--fail-if", "capacity.slo"], "--fail-if 'capacity.slo': allowed is METRIC CHANGE"),
    (["a", "b", "--fail-if", "capacity.sol -3%"], "no metric capacity.sol; did you mean capacity.slo?"),
    (["a", "b", "--json", "--format", "html"], "--json and --format html exclude each other"),
    (["a", "b", "-o", "/nowhere/x.html"], "/nowhere/x.html cannot be written: No such file or directory"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_what_cannot_be_compared(
    arguments: list[str], sentence: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2."""
    assert compare(runs, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line
