"""`density versus` from the command line, with plain processes, which need no engine."""

import json
from pathlib import Path

import pytest

from density.cli import main

PROFILE = """
name = "few"
[ramp]
shape = "linear"
start = 1
step = 1
max = 2
settle = "0.5s"
hold = "0s"
calibrate = 0
[workloads.process]
engine = "native"
"""


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A profile with one column."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "few.toml"
    path.write_text(PROFILE)
    return str(path)


def test_the_document_is_alone_on_stdout_and_is_kept(
    profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--json: stdout is the document and nothing else; the run's directory has it too, and the page."""
    assert main(["versus", profile, "--row", "disk", "--json", "--runs-dir", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["profile"], found["outcome"], found["left"]) == ("few", "done", [])
    assert [row["row"] for row in found["rows"]] == ["disk"]
    assert "hard disk: process" in said.err
    (directory,) = (tmp_path / "runs").iterdir()
    assert directory.name == found["run_id"]
    assert json.loads((directory / "versus.json").read_text()) == found
    assert (directory / "versus.md").read_text().startswith("|  | the article | measured here |  |")


def test_one_format_at_a_time(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is measured."""
    assert main(["versus", profile, "--json", "--markdown"]) == 2
    assert capsys.readouterr().err == "error: --json and --markdown exclude each other\n"


def test_text_and_markdown_go_to_stdout(profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table for people, and the same as a page; quietly."""
    arguments = ["versus", profile, "--row", "disk", "-q", "--runs-dir", str(tmp_path / "runs")]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "The article: MB against GB." in said.out
    assert said.err == ""
    assert main([*arguments, "--markdown"]) == 0
    said = capsys.readouterr()
    assert "| Hard disk | process |" in said.out
    assert "kept in" not in said.out


def test_what_cannot_be_compared_is_refused(profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown row and a simulated host are wrong usage, and make no directory."""
    assert main(["versus", profile, "--row", "disc", "--runs-dir", str(tmp_path / "runs")]) == 2
    assert "'disc' is not one of 'start'" in capsys.readouterr().err
    assert main(["versus", "simulated", "--runs-dir", str(tmp_path / "runs")]) == 2
    assert "a simulated host has nothing to compare" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
