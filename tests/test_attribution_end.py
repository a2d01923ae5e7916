"""The end of `make attribution`: the table has the odds of every module, and fails the session where they are wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULE = """
import pytest
from attribution.induced import Row
from attribution.suite import CLAIMS, ROWS, TOLD, Told


@pytest.fixture(autouse=True)
def calm():
    pass


def test_said(request):
    request.config.stash.setdefault(CLAIMS, []).extend({claims})
    rows = [Row("tasks.cgroup", "tasks.cgroup", odds, right, 9, 1.0) for odds, right in {induced}]
    request.config.stash.setdefault(ROWS, []).extend(rows)
    told = [Told("leak", "memory.cgroup", "memory.cgroup", odds, right, 9, 1.0, ()) for odds, right in {told}]
    request.config.stash.setdefault(TOLD, []).extend(told)
"""


def session(
    directory: Path,
    *,
    claims: list[tuple[float | None, bool]] | None = None,
    induced: list[tuple[float | None, bool]] | None = None,
    told: list[tuple[float | None, bool]] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A session with `attribution/conftest.py` and one module beside it, which passes and tells of these verdicts."""
    suite = directory / "attribution"
    suite.mkdir()
    for name in ("conftest", "induced", "suite"):
        shutil.copy(TESTS / "attribution" / f"{name}.py", suite)
    module = MODULE.format(claims=claims or [], induced=induced or [], told=told or [])
    (suite / "attribution_said.py").write_text(module)
    path = f"{directory} {TESTS}"
    options = f"addopts = --import-mode=importlib\npythonpath = {path}\npython_files = attribution_*.py"
    (directory / "pytest.ini").write_text(f"[pytest]\n{options}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "attribution"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def table(printed: str) -> dict[str, list[str]]:
    """The lines of the table, by the odds of the bin."""
    lines = [line.split() for line in printed.partition(" calibration ")[2].splitlines()]
    return {f"{cells[0]} {cells[2]}": cells[3:] for cells in lines if cells[1:2] == ["to"]}


def test_what_any_module_says_is_a_row_of_the_table(tmp_path: Path) -> None:
    """Claims of simulated hosts, induced ceilings and applications are counted together; those without odds apart."""
    said: list[tuple[float | None, bool]] = [(0.6, True), (None, False)]
    ended = session(tmp_path, claims=said, induced=[(0.96, True), (None, True)], told=[(0.97, True), (0.6, False)])
    assert ended.returncode == 0, ended.stdout
    assert table(ended.stdout) == {"50% 70%": ["2", "60.0%", "50.0%"], "95% 99%": ["2", "96.5%", "100.0%"]}
    assert "not in the table: 2 " in ended.stdout
    assert "expected calibration error 0.068" in ended.stdout


@pytest.mark.parametrize("source", ["claims", "induced", "told"])
def test_odds_that_are_too_high_fail_a_session_whose_tests_pass(source: str, tmp_path: Path) -> None:
    """Whoever said it: of ten verdicts with 95 % two are wrong."""
    said: list[tuple[float | None, bool]] = [(0.95, place > 1) for place in range(10)]
    match source:
        case "claims":
            ended = session(tmp_path, claims=said)
        case "induced":
            ended = session(tmp_path, induced=said)
        case _:
            ended = session(tmp_path, told=said)
    assert "1 passed" in ended.stdout
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
