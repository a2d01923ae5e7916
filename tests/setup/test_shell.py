"""The shell scripts of the project, read by shellcheck."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ("density/setup/setup.sh", "density/setup/exec.sh", "grafana/up.sh", ".ci/run")


@pytest.mark.tools("shellcheck")
@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_nothing_to_say(script: str) -> None:
    """Of a script with all that it reads in."""
    command = ["shellcheck", "--external-sources", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
