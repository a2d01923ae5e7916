"""Finding a run by what a person calls it."""

from pathlib import Path

import pytest

from density.cli import main
from density.cli.find import find_run
from density.errors import UsageError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs with a record, and things that are none."""
    for name in ("20260101-000000-aaaa", "20260102-000000-bbbb"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.sqlite").touch()
    (tmp_path / "notes").mkdir()
    (tmp_path / "zzz").touch()
    return tmp_path


def test_by_id_by_directory_and_the_latest(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the directory that is given, in the default one, or anywhere by its path."""
    older = runs / "20260101-000000-aaaa"
    assert find_run(older.name, runs) == older
    assert find_run(str(older), runs / "elsewhere") == older
    assert find_run("latest", runs) == runs / "20260102-000000-bbbb"
    monkeypatch.setenv("DENSITY_RUNS_DIR", str(runs))
    assert find_run(older.name, None) == older
    monkeypatch.chdir(runs)
    assert find_run(older.name, Path("elsewhere")).resolve() == older


@pytest.mark.parametrize("command", [["report"], ["watch"], ["compare"], ["report", "--runs-dir", "x" * 5000]])
def test_a_name_that_no_file_can_have_is_one_sentence(
    command: list[str], runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and no fault of density's."""
    monkeypatch.chdir(runs)
    assert main([*command, "x" * 5000]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "File name too long" in said


def test_what_is_not_there_is_said_with_what_is_near(runs: Path) -> None:
    """A mistyped id is corrected, a directory without a record is no run, and one without runs has no latest."""
    with pytest.raises(UsageError, match=r"no run 20260101-000000-aaab, .*; did you mean 20260101-000000-aaaa\?"):
        find_run("20260101-000000-aaab", runs)
    with pytest.raises(UsageError, match=r"no run notes, neither as a directory nor in .*`density runs` lists"):
        find_run("notes", runs)
    (runs / "versus" / "vm").mkdir(parents=True)
    (runs / "versus" / "vm" / "run.sqlite").touch()
    with pytest.raises(UsageError, match=f"versus holds several runs; name one: {runs / 'versus' / 'vm'}$"):
        find_run("versus", runs)
    with pytest.raises(UsageError, match=f"there are no runs in {runs / 'notes'}; --runs-dir"):
        find_run("latest", runs / "notes")
    with pytest.raises(UsageError, match="there are no runs in"):
        find_run("latest", runs / "nowhere")
