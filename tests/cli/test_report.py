"""`density report`: in which format it is written."""

import json
from pathlib import Path

import pytest
from support.recorded_runs import recorded

from density.cli import main


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """One that ended at its max."""
    recorded("max", tmp_path)
    return tmp_path / "max"


@pytest.mark.parametrize(
    ("name", "start"), [("r.md", "# "), ("r.json", "{"), ("r.XML", "<?xml"), ("r.htm", "<!DOCTYPE"), ("r", "<!DOCTYPE")]
)
def test_the_end_of_the_name_says_the_format(name: str, start: str, run: Path) -> None:
    """As of `compare` and `plan`; a page where it says none."""
    assert main(["report", str(run), "-o", str(run / name)]) == 0
    assert (run / name).read_text(encoding="utf-8").lstrip().startswith(start)


def test_an_option_says_it_before_the_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--format, and --json which is short for it; both at once have to agree."""
    for option in (["--format", "json"], ["--json"], ["--json", "--format", "json"]):
        assert main(["report", str(run), *option, "-o", str(run / "x.md")]) == 0
        assert json.loads((run / "x.md").read_text(encoding="utf-8"))["outcome"] == "max"
    assert main(["report", str(run), "--json", "--format", "html"]) == 2
    assert "--json and --format html exclude each other" in capsys.readouterr().err


def test_tables_are_asked_for_by_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three files have no place in one: a name that ends in .csv is neither a directory by chance, nor a page."""
    assert main(["report", str(run), "-o", str(run / "x.csv")]) == 2
    assert "--format csv -o DIR" in capsys.readouterr().err
    assert not (run / "x.csv").exists()
