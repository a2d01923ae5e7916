"""Words from outside made harmless, and every place that prints some."""

import ast
import io
import logging
import re
import tempfile
from pathlib import Path

import anyio
import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from support import recorded_runs
from support.recorded_runs import RUNS, record

import density
from density import cli
from density.cli import main
from density.cli.console import SafeConsole
from density.cli.output import echo, put
from density.controller.session import RESULT
from density.errors import EngineUnavailable
from density.live import PlainView
from density.log import LogFile, logger
from density.report.csv import csv_files
from density.report.formats import ONE_FILE
from density.report.recorded import read_run
from density.state import RunState
from density.text import line_pattern, one_line, visible

EVIL = "\x1b[2J\x1b]0;title\x07\x9b31m\x90q\x08\r\x7f\u202e\u2066\u200b\ufeff\x00\x0b\u2028\x85\ntail"
"""What clears a screen, sets a title, goes back over a line, turns the direction of writing, or cannot be seen."""
DIRECTIONS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
WORDS = st.text() | st.text(alphabet=EVIL)


def harmful(shown: str) -> set[str]:
    """The letters of a text that are neither seen nor the end of a line."""
    return {letter for letter in shown if not letter.isprintable()} - {"\n"}


@given(WORDS)
def test_everything_is_visible(text: str) -> None:
    """Nothing but printable letters comes out, those that went in are as they were, and any file takes it."""
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown
    shown.encode()
    if text.isprintable():
        assert shown == text


@given(WORDS)
def test_what_is_kept_is_kept(text: str) -> None:
    """Lines stay lines where they are wanted; else the text becomes one."""
    assert visible(text, keep="\n").split("\n") == [visible(line) for line in text.split("\n")]
    assert one_line(text).split() == visible(text).split()


def test_how_the_invisible_is_called() -> None:
    """As most programs call it."""
    assert visible("a\x1b[31mb\u202ec\U000e0001\udc80\td") == r"a\x1b[31mb\u202ec\U000e0001\udc80 d"


@given(
    st.sampled_from(["", ".*", ".*?", ".*.*", ".*?.*"]),
    st.sampled_from(["a", "^a", "a$", "a|b", "(a)b", "[.*]a", "", "a.*b", r"\\.", ".", "a{2}", "x?a"]),
    st.text(alphabet="ab.x*", max_size=12),
)
def test_what_comes_before_a_pattern_changes_nothing(before: str, pattern: str, line: str) -> None:
    """A line matches with and without it; only the search costs less."""
    assert bool(line_pattern(before + pattern).search(line)) == bool(re.search(before + pattern, line))
    assert not line_pattern(before + pattern).pattern.startswith(".*") or not pattern


@given(WORDS)
def test_a_console_writes_no_words_of_others(text: str) -> None:
    """In a table or alone, in colour, as markup of rich's or not, wrapped or cut."""
    table = Table("", title=Text(text))
    table.add_row(Text(text, style="red"))
    for width in (10, 200):
        file = io.StringIO()
        console = SafeConsole(file=file, width=width, highlight=False)
        console.print(Text(text))
        console.print(table)
        assert not harmful(file.getvalue())


@given(WORDS)
def test_plain_lines_are_lines(text: str) -> None:
    """A line of the view without a terminal is one line, whatever is told."""
    file = io.StringIO()

    async def tell() -> None:
        async with PlainView(RunState(), file) as view:
            view.tell(text)

    anyio.run(tell)
    assert not harmful(file.getvalue())
    assert file.getvalue().count("\n") == 1


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which everything that somebody else may have named or said is evil."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded_runs, "HOSTILE", EVIL)
        patch.setattr(recorded_runs, "LONG", EVIL[::-1] + "x" * 3000)
        directory = record(RUNS["hostile"](), tmp_path_factory.mktemp("evil") / "20260101-000000-beef")
    (directory / RESULT).write_text(ONE_FILE["json"][1](read_run(directory)))
    return directory


def test_reports(run_dir: Path) -> None:
    """In every format; a page may turn the direction of writing inside of a name that is held together."""
    run = read_run(run_dir)
    for kind, (_, make) in ONE_FILE.items():
        assert harmful(make(run)) <= (DIRECTIONS if kind == "html" else set()), kind
    for name, text in csv_files(run).items():
        assert not harmful(text), name


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "--runs-dir", "{run}/.."),
        ("watch", "{run}"),
        ("export", "{run}"),
        ("report", "{run}", "--format", "markdown", "-o", "-"),
        ("report", "{run}", "--json", "-o", "-"),
        ("compare", "{run}", "{run}"),
        ("compare", "{run}", "{run}", "--format", "markdown", "--fail-if", "capacity.hard -1%"),
        ("plan", "{run}", "--demand", "web=3"),
        ("doctor", "{evil}"),
        ("run", "{evil}"),
        ("{evil}",),
        ("report", "--{evil}"),
        ("clean", "{evil}"),
    ],
    ids=" ".join,
)
def test_commands(command: tuple[str, ...], run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither what is read back from a record nor what somebody typed steers a terminal, on either output."""
    main([word.format(run=run_dir, evil=EVIL.replace("\x00", "")) for word in command])
    shown = capsys.readouterr()
    assert shown.out + shown.err
    assert not harmful(shown.out + shown.err)


@pytest.mark.parametrize(
    "error", [EngineUnavailable("docker", EVIL, remedy=EVIL), RuntimeError(EVIL)], ids=["told", "not"]
)
@pytest.mark.parametrize("options", [(), ("--traceback",)])
def test_errors(
    error: Exception,
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What an engine says when it cannot be used, and what density itself fails with."""

    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli.Commands, "get_command", lambda *_: fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert main([*options, "doctor"]) != 0
    said = capsys.readouterr().err
    assert r"\x1b[2J" in said
    assert not harmful(said)


def test_the_log(tmp_path: Path) -> None:
    """Its file, and what -v shows; values, messages and tracebacks."""
    with LogFile(tmp_path / "density.log"):
        try:
            int(EVIL)
        except ValueError:
            logger("density.test").exception(EVIL, engine=EVIL)
        logging.getLogger("density.other").warning("%s", EVIL)
    text = (tmp_path / "density.log").read_text()
    assert text.count("tail") >= 4
    assert not harmful(text)


def test_lines_and_documents(capsys: pytest.CaptureFixture[str]) -> None:
    """The two ways out of a command; a document of bytes, such as a picture, is not text."""
    echo(EVIL, err=True)
    put(EVIL, None)
    shown = capsys.readouterr()
    assert not harmful(shown.out + shown.err)
    assert shown.out.endswith("\ntail")


def test_nothing_else_prints() -> None:
    """A command that printed by another way would be the next one to be steered."""
    root = Path(density.__file__).parent
    for path in root.rglob("*.py"):
        module = str(path.relative_to(root))
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "click":
                assert called.attr not in {"echo", "secho"} or module == "cli/output.py", module
            if isinstance(called, ast.Name):
                assert called.id not in {"print", "Console"}, module
            if isinstance(called, ast.Attribute) and ast.unparse(called).startswith(("sys.stdout.", "sys.stderr.")):
                assert called.attr != "write" or module == "setup/answers.py", module
