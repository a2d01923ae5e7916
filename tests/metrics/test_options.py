"""The options of `density run` that are about metrics."""

import socket
from pathlib import Path

import pytest

from density.cli import main


def refused(arguments: list[str], directory: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a run that is not even begun says: one line, exit code 2, and no directory of a run."""
    assert main(["run", "simulated", "-q", "--runs-dir", str(directory / "runs"), *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert not (directory / "runs").exists()
    return said.err


def test_a_port_in_use_ends_the_run_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a sentence that says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refused(["--metrics", f"127.0.0.1:{taken.getsockname()[1]}"], tmp_path, capsys)
    assert "another program listens there; give --metrics another HOST:PORT, or off" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--metrics", "yes"], "--metrics takes HOST:PORT"),
        (["--metrics-cert", "/nowhere.pem"], "--metrics-cert /nowhere.pem: No such file or directory"),
        (["--metrics-key", "/nowhere.pem"], "--metrics-key needs --metrics-cert"),
    ],
)
def test_options_that_cannot_be_end_it_too(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is made."""
    assert sentence in refused(arguments, tmp_path, capsys)
