"""The log: where it goes, that it stays small, and that it ends nothing."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from density import log
from density.cli import main
from density.log import LogFile, logger

SMALL = ["--max", "2", "--set", "ramp.settle=0.1s", "--set", "ramp.hold=0s", "--metrics", "off", "--json"]


def test_a_line_has_its_time_clock_level_and_values(tmp_path: Path) -> None:
    """As key=value in a fixed order; a traceback follows its line, indented; nothing is in it after leaving."""
    said = logger("density.test")
    with LogFile(tmp_path / "x.log") as file:
        said.warning("call", engine="docker", error="no such image: x", seconds=0.25)
        try:
            int("x")
        except ValueError:
            said.exception("fault", part="launching")
        said.debug("too much")
    said.warning("later")
    first, second, *traceback = (tmp_path / "x.log").read_text().splitlines()
    assert [part.split("=")[0] for part in first.split()][:5] == ["time", "clock", "level", "logger", "event"]
    assert first.endswith(
        'level=warning logger=density.test event=call engine=docker error="no such image: x" seconds=0.25'
    )
    assert second.endswith("level=error logger=density.test event=fault part=launching")
    assert all(line.startswith("  | ") for line in traceback)
    assert traceback[-1].startswith("  | ValueError: ")
    assert file.problem == ""


def test_it_never_grows_beyond_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full one takes the place of the one before."""
    monkeypatch.setattr(log, "MAX_BYTES", 10_000)
    with LogFile(tmp_path / "x.log"):
        for number in range(1000):
            logger("density.test").info("line", number=number)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1"]
    assert all(path.stat().st_size <= 10_000 for path in tmp_path.iterdir())
    assert "number=999" in (tmp_path / "x.log").read_text()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, unmounted again."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.root
def test_a_full_disk_ends_nothing(tiny_disk: Path) -> None:
    """What cannot be written is left out, and why is known afterwards."""
    with LogFile(tiny_disk / "x.log") as file:
        for _ in range(100):
            logger("density.test").info("line", words="x" * 1000)
    assert "No space left on device" in file.problem


@pytest.mark.parametrize(("before", "behind"), [(["-v"], []), ([], ["-v"])])
def test_v_shows_what_a_run_decides(
    before: list[str], behind: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, before or behind the command; standard output stays one document, and the file is the same."""
    assert main([*before, "run", "simulated", *SMALL, *behind, "--runs-dir", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["outcome"] == "max"
    shown = [line for line in err.splitlines() if " event=decision " in line]
    (run_dir,) = tmp_path.iterdir()
    assert shown
    assert shown == [line for line in (run_dir / "density.log").read_text().splitlines() if " event=decision " in line]
    assert "level=debug" not in err
    assert not log.is_shown()


def test_vv_shows_each_change_and_nothing_shows_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -vv each phase of each instance; without, standard error has no line of the log."""
    assert main(["run", "simulated", *SMALL, "-vv", "--runs-dir", str(tmp_path)]) == 0
    assert "phase=created" in capsys.readouterr().err
    assert main(["run", "simulated", *SMALL, "-q", "--runs-dir", str(tmp_path)]) == 0
    assert "event=" not in capsys.readouterr().err


@pytest.mark.docker
def test_a_call_that_the_daemon_refuses_is_in_it(tmp_path: Path) -> None:
    """With its method, path, status and the daemon's words; what is merely not there is no warning."""
    from docker.errors import APIError  # noqa: PLC0415 — half a second

    from density.engines.docker.client import Clients, find_endpoint  # noqa: PLC0415

    with LogFile(tmp_path / "x.log"):
        clients = Clients(find_endpoint(""), concurrency=1)
        anyio.run(clients.connect)
        with clients.borrow() as client, pytest.raises(APIError):
            client.inspect_container("density-is-not-there")
        with clients.borrow() as client, pytest.raises(APIError):
            client.containers(filters={"nonsense": "x"})
        clients.close()
    missing, refused = [line for line in (tmp_path / "x.log").read_text().splitlines() if "event=call" in line]
    assert "level=info" in missing
    assert "status=404" in missing
    assert "density-is-not-there" in missing
    assert "level=warning" in refused
    assert "method=GET" in refused
    assert "status=400" in refused
