"""`density report` on the command line: which run, which file, and what it says where it cannot."""

import json
from pathlib import Path

import pytest
from support.recorded_runs import recorded

from density.cli import main

FILES = {"html": "report.html", "markdown": "report.md", "json": "report.json", "junit": "junit.xml"}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A directory of two runs, of which `max` is the later by its name."""
    recorded("error", tmp_path)
    recorded("max", tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", FILES)
def test_it_is_written_into_the_run_and_its_path_is_printed(
    kind: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last run, if no other is named."""
    assert main(["report", "--format", kind, "--runs-dir", str(runs)]) == 0
    written = runs / "max" / FILES[kind]
    assert capsys.readouterr().out == f"{written}\n"
    assert written.stat().st_size > 500


def test_csv_is_three_files(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a directory, which is made."""
    assert main(["report", str(runs / "max"), "--format", "csv", "-o", str(runs / "new" / "csv")]) == 0
    names = ["instances.csv", "samples.csv", "waves.csv"]
    assert capsys.readouterr().out.split() == [str(runs / "new" / "csv" / name) for name in names]
    assert main(["report", str(runs / "max"), "--format", "csv", "-o", "-"]) == 2
    assert "-o DIR" in capsys.readouterr().err


def test_on_standard_output(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is there, so that a program can read it; paths of charts go elsewhere."""
    arguments = ["report", "max", "--runs-dir", str(runs), "--format", "json", "-o", "-", "--charts", str(runs / "c")]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["capacity"]["hard"]["kind"] == "forecast"
    assert err.count(".png") == err.count(".svg") == 8
    assert (runs / "c" / "count.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_never_began_has_a_report_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says why, and exits with 0: the report is there."""
    assert main(["report", "error", "--runs-dir", str(runs), "--format", "markdown", "-o", "-"]) == 0
    assert "there is no image 'missing'" in capsys.readouterr().out


def test_what_cannot_be_is_one_sentence(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that is not there, a record that is none, a place that cannot be written to."""
    assert main(["report", "maxx", "--runs-dir", str(runs)]) == 2
    assert "did you mean max?" in capsys.readouterr().err
    (runs / "bad").mkdir()
    (runs / "bad" / "run.sqlite").write_text("no database, but more than a few letters of something else")
    assert main(["report", "bad", "--runs-dir", str(runs)]) == 2
    assert "this is not a record of a run" in capsys.readouterr().err
    assert main(["report", "max", "--runs-dir", str(runs), "--format", "json", "-o", "/proc/none/x.json"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
