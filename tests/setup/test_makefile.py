"""What a person types: the targets of the Makefile, and what continuous integration runs."""

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.tools("make")


def make(*arguments: str) -> list[str]:
    """Lines that make prints, in the repository, without inherited variables of an outer make."""
    done = subprocess.run(
        ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "--no-print-directory", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_make_alone_says_what_there_is() -> None:
    """Every target has a line of help."""
    names = [line.split()[1] for line in make()]
    long_tests = ["bench", "attribution", "torture"]
    assert names == ["help", "run", "test", "check", *long_tests, "versus", "grafana", "engines", "clean"]


def test_run_takes_a_profile_and_arguments() -> None:
    """`make run` sets up first, then runs the profile asked for, quickstart if none is."""
    assert make("-n", "run") == [
        "sh density/setup/setup.sh run",
        "sh density/setup/exec.sh .venv/bin/density run quickstart ",
    ]
    assert make("-n", "run", "PROFILE=vms", "ARGS=--max 5")[-1].endswith("density run vms --max 5")


def test_tests_come_last() -> None:
    """`make test` sets up, checks, then runs pytest once, whose closing line is the last one."""
    lines = make("-n", "test")
    assert lines[0] == "sh density/setup/setup.sh dev"
    assert [line for line in lines if "pytest" in line] == lines[-1:]


def test_integration_script_parses_and_requires_engines() -> None:
    """`.ci/run` is the same `make test`, with the switch that makes a missing engine a failure."""
    script = REPOSITORY / ".ci/run"
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "export DENSITY_REQUIRE_ENGINES=1" in script.read_text()
