"""Shims that outlive their containers: whose they are, and that they end."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from density.engines.docker import shims
from density.engines.docker.shims import end_shims, find_shims, shim_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop that runs have."""
    return "asyncio"


@pytest.mark.parametrize(
    ("words", "container"),
    [
        (("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", "51c9", "-address", "/run/c.sock"), "51c9"),
        (("containerd-shim", "-namespace", "moby", "-id", "51c9"), "51c9"),
        (("/usr/bin/conmon", "--api-version", "1", "-c", "51c9", "-u", "51c9"), "51c9"),
        (("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id"), ""),
        (("/bin/sh", "-c", "51c9"), ""),
        (("grep", "containerd-shim", "-id", "51c9"), ""),
        (("",), ""),
    ],
)
def test_whose_shim_a_process_is(words: tuple[str, ...], container: str) -> None:
    """By its command line: containerd's and Podman's have the container's id in different places."""
    assert shim_of("\0".join((*words, "")).encode()) == container


def test_only_those_of_the_containers_asked_for(tmp_path: Path) -> None:
    """A host's other shims are nobody's business here."""
    for pid, container in ((7, "aaaa"), (8, "bbbb")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(f"containerd-shim-runc-v2\0-id\0{container}\0".encode())
    (tmp_path / "9").mkdir()
    assert find_shims({"bbbb"}, proc=tmp_path) == {8: "bbbb"}


@contextmanager
def shim(container: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like one."""
    words = ["containerd-shim-runc-v2", "-c", "sleep 60; :", "-id", container]
    with subprocess.Popen(words, executable="/bin/sh", start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_one_that_stays_is_ended_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, by SIGKILL, which needs no fork; the shim of a container that was not removed goes on."""
    monkeypatch.setattr(shims, "SHIM_SECONDS", 0.3)
    mine, other = uuid.uuid4().hex, uuid.uuid4().hex
    with shim(mine) as gone, shim(other) as stays:
        while len(find_shims({mine, other})) < 2:
            pass
        assert await end_shims({mine: "density-r-web-00001"}) == ()
        assert gone.wait() == -9
        assert stays.poll() is None


async def test_one_that_cannot_be_ended_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its container's name, with its process."""
    monkeypatch.setattr(shims, "SHIM_SECONDS", 0.1)
    monkeypatch.setattr(shims, "KILLED_SECONDS", 0.1)
    monkeypatch.setattr(shims, "_kill", lambda *_: None)
    mine = uuid.uuid4().hex
    with shim(mine) as process:
        while not find_shims({mine}):
            pass
        [left] = await end_shims({mine: "density-r-web-00001"})
        assert "density-r-web-00001" in left
        assert str(process.pid) in left
