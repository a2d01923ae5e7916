"""`density image`."""

from functools import partial
from pathlib import Path

import anyio
import pytest

from density.cli import image, main
from density.errors import DensityError
from density.payload.images import DebianDisk
from density.payload.images.bootstrap import Packages, bootstrap


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
        (["debian", "--mirror", "notaurl"], "'notaurl' is no address of an archive"),
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


ASKED, FAILED = 2, 1
COMPLAINTS = [
    ("Unable to locate package nosuch", "", ASKED),
    ("The repository 'http://deb.debian.org/debian nosuch Release' does not have a Release file.", "", ASKED),
    ("invalid mirror: file:/nosuch", "file:/nosuch", ASKED),
    ("Failed to fetch http://x/InRelease  Could not resolve 'x'", "http://x", ASKED),
    ("Failed to fetch http://deb.debian.org/debian/InRelease  Could not resolve 'deb.debian.org'", "", FAILED),
    ("no space left", "http://x", FAILED),
]


@pytest.mark.parametrize(("complaint", "mirror", "code"), COMPLAINTS)
def test_what_is_not_there_was_asked_for(
    complaint: str, mirror: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package, a suite or a mirror that there is not is exit code 2; that a tool or the network fails is not."""

    async def complain(*_: object, **__: object) -> str:
        raise DensityError(f"mmdebstrap: {complaint}")

    monkeypatch.setattr("density.payload.images.bootstrap.run", complain)
    with pytest.raises(DensityError, match=r"^mmdebstrap: ") as caught:
        anyio.run(partial(bootstrap, Packages(mirror=mirror), tmp_path, variant="minbase"))
    assert caught.value.exit_code == code
