"""The file system of a run's directory becomes read-only in mid-run: the run is reported all the same."""

import errno
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from density.cli import main
from density.cli.output import keep
from density.controller.guard import guarded
from density.controller.intent import intent_path
from density.controller.versus.measure import Comparison
from density.engines.simulated import SimulatedEngine
from density.errors import EngineUnavailable
from density.model import Reaped, Workload
from density.payload.sockets import discard, listen
from density.profile.spec import Profile
from density.record.writer import RecordWriter
from density.report.formats import write_page

PROFILE = """
name = "shop"
[workloads.web]
engine = "simulated"
[ramp]
calibrate = 0
max = 8
settle = "0.1s"
hold = "{hold}"
"""
RESULT_NAMES = ("result.json", "report.html", "versus.json", "versus.md")


def _refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither write nor remove the files of a run that is over, as a read-only file system does."""

    def refusing(really: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, *words: Any, **more: Any) -> Any:  # noqa: ANN401 — as the method
            if path.name in RESULT_NAMES:
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            return really(path, *words, **more)

        return call

    for name in ("write_text", "unlink"):
        monkeypatch.setattr(Path, name, refusing(getattr(Path, name)))


def _run(tmp_path: Path, *options: str, hold: str = "0s", runs: Path | None = None) -> int:
    profile = tmp_path / "p.toml"
    profile.write_text(PROFILE.format(hold=hold))
    where = ["--runs-dir", str(runs or tmp_path / "runs")]
    return main(["run", "-q", str(profile), *where, "--metrics", "off", *options])


def _document(said: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(said)
    return document


def test_a_result_that_cannot_be_written_goes_to_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither can what is not there be removed; the document is on standard output, and the exit code is 6."""
    _refuse(monkeypatch)
    assert _run(tmp_path) == 6
    said = capsys.readouterr()
    assert _document(said.out)["outcome"] == "max"
    assert "result.json" in said.err
    assert "density itself failed" not in said.err


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[tuple[Path, threading.Thread]]:
    """A place for runs, and a thread that makes the directory of the run there read-only once it has a record.

    A mount with files open for writing cannot be remounted, so the directory is mounted anew over itself.
    """
    runs = tmp_path / "runs"
    mounted: list[Path] = []

    def remount() -> None:
        while not (found := list(runs.glob("*/run.sqlite-wal"))):
            time.sleep(0.02)
        time.sleep(0.5)
        subprocess.run(["mount", "--bind", found[0].parent, found[0].parent], check=True)
        mounted.append(found[0].parent)
        subprocess.run(["mount", "-o", "remount,bind,ro", found[0].parent], check=True)

    thread = threading.Thread(target=remount)
    yield runs, thread
    for path in mounted:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.mark.root
def test_a_directory_that_becomes_read_only(
    read_only: tuple[Path, threading.Thread], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a mount of the kernel's: no file can be made there any more, and everything is removed and reported."""
    runs, remounting = read_only
    remounting.start()
    code = _run(tmp_path, hold="3s", runs=runs)
    remounting.join()
    (run_dir,) = runs.iterdir()
    assert not (run_dir / "result.json").exists()
    said = capsys.readouterr()
    assert code == 6
    assert _document(said.out)["teardown"]["left"] == []
    assert "density itself failed" not in said.err


def test_what_ended_the_run_comes_before_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that goes away and a result that cannot be written: exit code 5, and both are said."""

    async def gone(*_: object) -> None:
        raise EngineUnavailable("simulated", "it went away")

    monkeypatch.setattr(SimulatedEngine, "describe", gone)
    _refuse(monkeypatch)
    assert _run(tmp_path) == 5
    said = capsys.readouterr().err
    assert "it went away" in said
    assert "result.json" in said


def test_a_capacity_that_is_missed_comes_before_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, and by how much is said."""
    _refuse(monkeypatch)
    assert _run(tmp_path, "--require", "slo=4000000") == 3
    assert "too few" in capsys.readouterr().err


@pytest.mark.parametrize("refused", ["record", "result"])
def test_leftovers_come_before_the_disk(refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4, whether the record or the result could not be written; the first of them ends the run by itself."""

    async def reap(*_: object) -> Reaped:
        return Reaped(left=("density-web-1",))

    def write(self: RecordWriter, *_: object) -> bool:
        self.problem = self._refused = "the disk refuses the record"
        return False

    monkeypatch.setattr("density.controller.intent.state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr(SimulatedEngine, "reap", reap)
    if refused == "record":
        monkeypatch.setattr(RecordWriter, "_write", write)
        monkeypatch.setattr("density.record.writer.TICK_SECONDS", 0.1)
    else:
        _refuse(monkeypatch)
    assert _run(tmp_path, hold="3s") == 4


def test_half_a_file_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a disk took of it before it was full would be taken for a result."""
    really = Path.write_text

    def write(path: Path, text: str, **more: Any) -> int:  # noqa: ANN401 — as the method
        really(path, text[:3], **more)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", write)
    assert not keep(tmp_path / "result.json", "{}\n{}\n")
    monkeypatch.setattr("density.report.formats.read_run", lambda _: None)
    monkeypatch.setattr("density.report.formats.html", lambda _: "<html></html>")
    with pytest.raises(OSError, match="No space"):
        write_page(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_comparison_that_cannot_be_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured for minutes goes to standard output as a document, and the exit code is 6."""

    async def compare(*_: object, run_id: str, **__: object) -> Comparison:
        return Comparison(run_id, ())

    monkeypatch.setattr("density.cli.versus.compare", compare)
    monkeypatch.setattr("density.cli.versus.only_run", lambda *_, **__: nullcontext())
    _refuse(monkeypatch)
    assert main(["versus", "-q", "--runs-dir", str(tmp_path)]) == 6
    said = capsys.readouterr()
    assert _document(said.out)["rows"] == []
    assert "versus.json" in said.err


@pytest.mark.anyio
async def test_an_intent_that_cannot_be_removed_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left but the intent itself, which is for `density clean`; the run goes on to its result."""
    monkeypatch.setattr("density.controller.intent.state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr("density.controller.paths.runtime_base", lambda: tmp_path / "base")

    def fulfil(run_id: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(intent_path(run_id)))

    monkeypatch.setattr("density.controller.guard.fulfil", fulfil)
    profile = Profile(name="t", workloads=(Workload(name="web", engine="simulated"),))
    async with guarded(profile, run_id="20260101-000000-0b02", run_dir=tmp_path / "r") as guard:
        guard.all_gone = True
    assert intent_path("20260101-000000-0b02").exists()


def test_a_socket_that_cannot_be_removed_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory is the run's, so that a clean-up finds it; what is torn down after it is torn down."""

    def unlink(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    listener = listen(tmp_path / "s", 1)
    monkeypatch.setattr(Path, "unlink", unlink)
    discard(listener, tmp_path / "s")
    assert listener.fileno() == -1
