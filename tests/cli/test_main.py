"""The command line as a whole: help, exit codes, and errors as sentences on stderr."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest

from density import __version__
from density.cli import COMMANDS, group, main
from density.errors import DensityError, EngineUnavailable, ProfileError, UsageError

HEAVY = ("pydantic", "anyio", "docker", "libvirt", "numpy", "psutil", "rich", "prometheus_client")

Raises = Callable[[BaseException], list[str]]


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Raises:
    """A command that raises what it is told to."""

    def make(error: BaseException) -> list[str]:
        @click.command("broken")
        def command() -> None:
            raise error

        module = ModuleType("broken")
        module.__dict__["command"] = command
        monkeypatch.setitem(sys.modules, "broken", module)
        monkeypatch.setitem(COMMANDS, "broken", ("broken", "Breaks."))
        return ["broken"]

    return make


def test_help_imports_nothing_heavy() -> None:
    """Every command is listed with its line of help, in the time that Python and click take."""
    program = f"""
import sys
from density.cli import main
code = main(["--help"])
sys.exit(code or ", ".join(name for name in {HEAVY} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == "\n", "heavy modules were imported"
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} ".ljust(12) in done.stdout
        assert line in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_of_itself_what_the_list_says(name: str) -> None:
    """The table of commands, which is there to avoid imports, agrees with the commands."""
    context = click.Context(group)
    command = group.get_command(context, name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").split()[:2] == COMMANDS[name][1].split()[:2]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the package's."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"density {__version__}\n"


USAGE = {
    "rnu quickstart": "error: no such command: rnu; did you mean run? (see density --help)\n",
    "zzz": "error: no such command: zzz (see density --help)\n",
    "--zzz": "error: no such option '--zzz' (see density --help)\n",
    "schema extra": "error: got unexpected extra argument (extra) (see density schema --help)\n",
}


@pytest.mark.parametrize("line", USAGE)
def test_a_wrong_command_line_is_one_sentence(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing on stdout, and where to read on."""
    assert main(line.split()) == 2
    assert capsys.readouterr() == ("", USAGE[line])


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """As an error, for scripts."""
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().err


ERRORS = [
    (DensityError("It broke"), 1, "error: It broke\n"),
    (UsageError("Not so"), 2, "error: Not so\n"),
    (
        DensityError("web: none became ready:\n  | cannot open\n  | gave up"),
        1,
        "error: web: none became ready:\n  | cannot open\n  | gave up\n",
    ),
    (ProfileError("my.toml", ["a: wrong", "b: wrong"]), 2, "error: my.toml: a: wrong\nerror: my.toml: b: wrong\n"),
    (EngineUnavailable("docker", "gone", remedy="start it"), 5, "error: docker: gone (start it)\n"),
    (
        ExceptionGroup("tasks", [UsageError("One"), ExceptionGroup("more", [EngineUnavailable("docker", "gone")])]),
        5,
        "error: One\nerror: docker: gone\n",
    ),
    (KeyboardInterrupt(), 130, "error: interrupted\n"),
    (BaseExceptionGroup("tasks", [KeyboardInterrupt(), ValueError("late")]), 130, "error: interrupted\n"),
]


@pytest.mark.parametrize(("error", "code", "said"), ERRORS, ids=lambda value: type(value).__name__)
def test_errors_raised_on_purpose_become_sentences(
    error: BaseException, code: int, said: str, raising: Raises, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has its exit code, also out of a task group; no traceback."""
    assert main(raising(error)) == code
    assert capsys.readouterr().err.lstrip("\n") == said


def test_a_fault_of_density_leaves_its_traceback_in_a_file(
    raising: Raises, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One sentence that names the file, exit code 1."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(raising(ExceptionGroup("tasks", [ZeroDivisionError("division by zero")]))) == 1
    (written,) = tmp_path.iterdir()
    said = capsys.readouterr().err
    assert said == f"error: density itself failed: ZeroDivisionError: division by zero; its traceback is in {written}\n"
    assert "ZeroDivisionError: division by zero" in written.read_text()


def test_traceback_shows_it(raising: Raises, capsys: pytest.CaptureFixture[str]) -> None:
    """With --traceback it is on stderr instead."""
    assert main(["--traceback", *raising(ZeroDivisionError("x"))]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: density itself failed: ZeroDivisionError: x\nTraceback")


def test_a_traceback_that_cannot_be_written_is_said(
    raising: Raises, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full disk is no reason for a second traceback."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert main(raising(ZeroDivisionError("x"))) == 1
    assert capsys.readouterr().err == (
        "error: density itself failed: ZeroDivisionError: x; its traceback could not be written "
        "(No such file or directory); --traceback shows it\n"
    )


def test_a_call_that_never_comes_back_does_not_keep_the_process() -> None:
    """A thread that waits for ever is left behind: what was said is said, and the exit code is the command's."""
    code = """
import sys, threading
from density import cli, leaving
leaving.THREAD_SECONDS = 0.1
threading.Thread(target=threading.Event().wait).start()
sys.argv = ["density", "schema"]
cli.program()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["title"]
