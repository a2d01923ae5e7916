"""`density export`: a run's metrics with their times, to a file or to stdout."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from metrics.observed import beginning, ending

from density.cli import main
from density.record import RecordWriter


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A directory of runs with one run in it."""
    directory = tmp_path / "runs"
    (directory / "r1").mkdir(parents=True)

    async def write() -> None:
        async with RecordWriter(directory / "r1" / "run.sqlite") as record:
            for event in [*beginning(), *ending()]:
                record.handle(event)

    anyio.run(write)
    return directory


def test_stdout_has_the_text_and_stderr_what_it_is(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that it can be piped; the times are said, as Prometheus has to be asked for them."""
    assert main(["export", "r1", "--runs-dir", str(runs)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("# TYPE density_run_info gauge\n")
    assert said.out.endswith("# EOF\n")
    assert said.err.startswith("5 moments of ")
    assert said.err.count("\n") == 1


def test_a_file_has_the_same_text(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And stdout nothing."""
    assert main(["export", "latest", "--format", "openmetrics", "--runs-dir", str(runs)]) == 0
    piped = capsys.readouterr().out
    file = tmp_path / "run.om"
    assert main(["export", str(runs / "r1"), "-o", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert file.read_text() == piped


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nope"], 2, "there is no run nope"),
        (["r1", "--format", "csv"], 2, "'csv' is not 'openmetrics'"),
        (["r1", "-o", "/nowhere/x"], 2, "/nowhere/x cannot be written: No such file or directory"),
        (["r1", "-o", "/dev/full"], 6, "/dev/full could not be written whole: No space left on device"),
    ],
)
def test_what_cannot_be_is_one_clear_sentence(
    arguments: list[str], code: int, sentence: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown run, an unknown format, a place that cannot be written, a full disk."""
    assert main(["export", *arguments, "--runs-dir", str(runs)]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_record_that_is_none_says_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some other file under the record's name."""
    (runs / "r1" / "run.sqlite").write_text("hello")
    assert main(["export", "r1", "--runs-dir", str(runs)]) == 2
    assert "this is not a record of a run" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error(runs: Path) -> None:
    """As with `density export RUN | head`."""
    command = f"{sys.executable} -m density export r1 --runs-dir {runs} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "# TYPE density_run_info gauge\n"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
