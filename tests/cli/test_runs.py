"""`density runs`: what is in a directory of runs, damaged ones included."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from density.cli import main
from density.cli.runs import list_runs


def result(run_id: str, **changes: object) -> dict[str, Any]:
    """A result document, as far as it is read here."""
    capacity = {"hard": {"count": 117}, "slo": {"count": 117}, "recommended": {"count": 99}}
    return {
        "run_id": run_id,
        "started": 1_700_000_000.0,
        "profile": "quickstart",
        "outcome": "ceiling",
        "capacity": capacity,
        "verdict": {"ceiling": "memory.cgroup"},
    } | changes


def make(directory: Path, name: str, text: str | None, *, changed: float = 0) -> None:
    """A run directory with this result.json (None: without)."""
    run = directory / name
    run.mkdir(parents=True)
    (run / "run.sqlite").touch()
    if text is not None:
        (run / "result.json").write_text(text)
    os.utime(run, (changed, changed))


def test_the_newest_run_comes_first(tmp_path: Path) -> None:
    """By when they started, not by name."""
    make(tmp_path, "a", json.dumps(result("a", started=3.0)))
    make(tmp_path, "b", json.dumps(result("b", started=5.0, verdict=None, outcome="max")))
    make(tmp_path, "c", json.dumps(result("c", started=4.0)))
    rows = list_runs(tmp_path, alive=set())
    assert [(row.run_id, row.outcome, row.ceiling) for row in rows] == [
        ("b", "max", ""),
        ("c", "ceiling", "memory.cgroup"),
        ("a", "ceiling", "memory.cgroup"),
    ]


DAMAGED = ["", "{", "[]", "null", "3", "{}", json.dumps(result("x", capacity={})), json.dumps(result("x", started="?"))]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_result_is_said(text: str, tmp_path: Path) -> None:
    """It does not hide the other runs."""
    make(tmp_path, "good", json.dumps(result("good")))
    make(tmp_path, "bad", text)
    rows = {row.run_id: row for row in list_runs(tmp_path, alive=set())}
    assert (rows["bad"].outcome, rows["bad"].problem) == ("unknown", "result.json is damaged")
    assert rows["good"].capacity == 117


def test_a_run_without_a_result_is_running_or_was_cut_off(tmp_path: Path) -> None:
    """Its lock tells which."""
    make(tmp_path, "alive", None, changed=2)
    make(tmp_path, "dead", None, changed=1)
    rows = list_runs(tmp_path, alive={"alive"})
    assert [(row.run_id, row.outcome, row.problem) for row in rows] == [
        ("alive", "running", ""),
        ("dead", "cut off", "no result.json"),
    ]


def test_what_is_no_run_is_not_listed(tmp_path: Path) -> None:
    """Other files and directories are other people's."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").touch()
    assert list_runs(tmp_path, alive=set()) == []


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a run, in the directory that DENSITY_RUNS_DIR or --runs-dir names."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("DENSITY_RUNS_DIR", str(tmp_path))
    make(tmp_path, "20260102-030405-abcd", json.dumps(result("20260102-030405-abcd")))
    assert main(["runs"]) == 0
    by_variable = capsys.readouterr().out
    head, line = by_variable.splitlines()
    assert head.split() == ["RUN", "STARTED", "PROFILE", "OUTCOME", "HARD", "CEILING"]
    assert line.split()[0::5] == ["20260102-030405-abcd", "117"]
    monkeypatch.delenv("DENSITY_RUNS_DIR")
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == by_variable


def test_json_has_every_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: one document on stdout."""
    make(tmp_path, "a", json.dumps(result("a")))
    assert main(["runs", "--runs-dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "run_id": "a",
            "directory": str(tmp_path / "a"),
            "started": 1_700_000_000.0,
            "profile": "quickstart",
            "outcome": "ceiling",
            "capacity": 117,
            "ceiling": "memory.cgroup",
            "problem": "",
        }
    ]


def test_no_runs_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is no error, whether the directory exists or not."""
    assert main(["runs", "--runs-dir", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out == f"no runs in {tmp_path / 'none'}\n"


def test_where_runs_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file is no directory of runs: one sentence, exit code 2."""
    file = tmp_path / "file"
    file.touch()
    assert main(["runs", "--runs-dir", str(file)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"error: {file} cannot be read: Not a directory; runs are kept in a directory\n"
