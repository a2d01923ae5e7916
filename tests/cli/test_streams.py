"""Standard output and error that cannot be written, are closed or have nobody who reads: what was done is not lost."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.recorded_runs import recorded

from density.cli.streams import Output
from density.controller.paths import cache_dir, state_dir
from density.engines.docker.context import active_context
from density.errors import UsageError

UNWRITTEN = 6
PROFILE = """
name = "shop"
[workloads.web]
engine = "simulated"
[ramp]
calibrate = 2
max = 4
settle = "0.1s"
hold = "0s"
"""
SHELL = {"closed": ">&-", "both closed": ">&- 2>&- <&-", "full": ">/dev/full", "errors full": "2>/dev/full"}
"""How standard output and error are given to a command, in the shell's words."""


def density(*arguments: str, to: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """A command of density with its output as SHELL has it."""
    command = ["sh", "-c", f'exec "$@" {SHELL[to]}', "sh", sys.executable, "-m", "density", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory, timeout=60)


@pytest.mark.parametrize(
    ("to", "code", "said"),
    [
        ("closed", 0, ""),
        ("both closed", 0, ""),
        ("full", UNWRITTEN, "error: standard output could not be written: No space left on device"),
        ("errors full", UNWRITTEN, ""),
    ],
)
@pytest.mark.parametrize("options", [["--json"], ["-q"]])
def test_a_run_is_not_lost_with_its_output(to: str, code: int, said: str, options: list[str], tmp_path: Path) -> None:
    """Result, record and report are written whatever becomes of the streams; a full disk has its own exit code."""
    (tmp_path / "p.toml").write_text(PROFILE)
    done = density("run", "p.toml", "--metrics", "off", *options, to=to, directory=tmp_path)
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert json.loads((run_dir / "result.json").read_text())["record"]["complete"] is True
    assert (run_dir / "report.html").stat().st_size > 10_000
    # With -q nothing goes to standard output, so that nothing of it is lost.
    lost = code if options == ["--json"] or to == "errors full" else 0
    assert done.returncode == lost
    assert "Traceback" not in done.stderr + done.stdout
    if lost and said:
        assert said in done.stderr
        assert str(run_dir.relative_to(tmp_path) / "report.html") in done.stderr, "where the result is after all"
    if to == "errors full" and options == ["--json"]:
        assert json.loads(done.stdout)["outcome"] == "max"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run, `max`."""
    directory = tmp_path_factory.mktemp("runs")
    recorded("max", directory)
    return directory


COMMANDS = [
    ["profiles", "quickstart"],
    ["runs", "--json"],
    ["report", "max", "--format", "markdown", "-o", "-"],
    ["export", "max"],
    ["plan", "max", "--demand", "web=50"],
    ["watch", "max"],
    ["schema"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_says_that_its_output_was_lost(command: list[str], runs: Path) -> None:
    """One sentence more, no traceback, and Python does not try again when it ends."""
    at = [] if command[0] in ("profiles", "schema") else ["--runs-dir", str(runs)]
    done = density(*command, *at, to="full", directory=runs)
    assert done.returncode == UNWRITTEN
    assert done.stderr.splitlines()[-1] == "error: standard output could not be written: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["export", "max"], ["runs"]], ids=lambda command: command[0])
def test_a_reader_that_has_gone_is_no_error(command: list[str], runs: Path) -> None:
    """As with `density export RUN | head`: no sentence, and no exit code either."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        program = [sys.executable, "-m", "density", *command, "--runs-dir", str(runs)]
        done = subprocess.run(program, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert "error" not in done.stderr
    assert done.returncode == 0


def test_a_closed_output_does_not_become_the_record(tmp_path: Path) -> None:
    """With `>&-` no file that density opens gets the number of standard output, where C libraries write."""
    code = "import os, sys; from density.cli.streams import open_standard_files; open_standard_files(); "
    code += "open('found', 'w').write(' '.join(os.readlink(f'/proc/self/fd/{n}') for n in range(3)))"
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(command, check=False, cwd=tmp_path).returncode == 0
    assert (tmp_path / "found").read_text().split() == ["/dev/null"] * 3


def test_what_cannot_be_encoded_is_shown_all_the_same(tmp_path: Path) -> None:
    """A name of bytes that are no text, on an output that takes none such."""
    with ExitStack() as stack:
        file = stack.enter_context((tmp_path / "out").open("w", encoding="ascii"))
        Output(file).write("a\udcff\u00e9\n")
    assert (tmp_path / "out").read_text() == "a\\udcff\\xe9\n"


def test_a_user_without_a_home_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that no account has, without HOME, as in containers: where to set one; the CLI has no context then."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(UsageError, match=r"^user 54321 has no home directory; set HOME, or XDG_CACHE_HOME$"):
        cache_dir()
    with pytest.raises(UsageError, match=r"^user 54321 has no home directory; set HOME, or XDG_STATE_HOME$"):
        state_dir()
    assert active_context({}) is None


def test_a_working_directory_that_is_gone_gets_a_sentence(tmp_path: Path) -> None:
    """Whatever the command: it would not find what relative paths name."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "density", "runs"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("limit", [20, 64, 200])
def test_too_few_open_files_are_said_before_anything_starts(limit: int, tmp_path: Path) -> None:
    """Exit code 7 and how to allow more; no run begins."""
    (tmp_path / "p.toml").write_text(PROFILE)
    script = f'ulimit -n {limit}; exec "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "density", "run", "p.toml", "--metrics", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 7
    assert "ulimit -n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
