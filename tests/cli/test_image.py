"""`density image`."""

from pathlib import Path

import pytest

from density.cli import image, main
from density.payload.images import DebianDisk
from density.payload.images.bootstrap import Packages


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "cache_dir", lambda: tmp_path)


def test_the_path_alone_is_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that it can be used in a command; all else is on stderr."""
    path = DebianDisk(Packages(names=("redis-server", "memcached"))).path(tmp_path)
    path.touch()
    assert main(["image", "debian", "--packages", "redis-server, memcached,"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{path}\n"
    assert "made earlier" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["debian", "--packages", "Redis"], "'Redis' is no name of a package"),
        (["debian", "--suite", "-x"], "'-x' is no name of a suite"),
        (["container", "nginx"], "'nginx' is not one of 'redis', 'memcached'"),
        (["debian", "-o", "/proc/nothing/disk.qcow2"], "/proc/nothing/disk.qcow2 cannot be written"),
    ],
)
def test_what_cannot_be_made(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Is refused with one sentence before anything is fetched."""
    assert main(["image", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert sentence in said.err
    assert said.err.count("\n") == 1
