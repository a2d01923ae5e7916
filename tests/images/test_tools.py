"""Running the programs that make images, and what stays when they fail."""

import os
from pathlib import Path

import anyio
import pytest

from density.errors import DensityError, EngineUnavailable, UsageError
from density.payload.images.tools import check_place, check_tools, complaint, run, scratch_beside

pytestmark = pytest.mark.anyio

FAILED = """I: downloading packages with apt...
Building dependency tree...
E: Unable to locate package nothing
E: apt download failed: E: apt-get --yes install nothing failed
"""


@pytest.fixture
def anyio_backend() -> str:
    """Tools are run as children, which is the same on every loop."""
    return "asyncio"


def test_the_first_complaint_is_the_cause() -> None:
    """Later ones only say that the earlier made things fail; without any, the last line has to do."""
    assert complaint(FAILED) == "Unable to locate package nothing"
    assert complaint("mke2fs: No space left on device while writing\n") == "No space left on device while writing"
    assert complaint("one\ntwo\n\n") == "two"
    assert complaint("") == ""


async def test_a_tool_that_fails_is_one_sentence() -> None:
    """With its name and its own words, or its exit code where it has none; one that hangs is ended."""
    with pytest.raises(DensityError, match=r"^sh: no such thing$"):
        await run(("sh", "-c", "echo E: no such thing >&2; exit 3"))
    with pytest.raises(DensityError, match=r"^sh: ended with 3$"):
        await run(("sh", "-c", "exit 3"))
    with pytest.raises(DensityError, match=r"^sleep was not done within"):
        await run(("sleep", "60"), seconds=0.01)


async def test_nothing_stays_of_what_was_broken_off(tmp_path: Path) -> None:
    """The directory next to the file goes with all that is in it, also when the work is cancelled."""
    with anyio.CancelScope() as scope:
        async with scratch_beside(tmp_path / "made" / "disk") as scratch:
            (scratch / "half").touch()
            scope.cancel()
            await run(("sleep", "60"))
    assert scope.cancelled_caught
    assert list((tmp_path / "made").iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """Is refused, so that nobody waits minutes for that; one that can be written is left as it is."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written: "):
        check_place(tmp_path / "file" / "disk.qcow2")
    check_place(tmp_path / "images" / "disk.qcow2")
    assert list((tmp_path / "images").iterdir()) == []


async def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Of the same file alone, not where another process is at work, and nothing that only looks like it."""
    left = tmp_path / ".density-image-[disk].1"
    others = [tmp_path / name for name in (".density-image-d.1", ".density-image-other.1", ".[disk].backup")]
    for directory in (left, *others):
        (directory / "tree").mkdir(parents=True)
        os.utime(directory, (0, 0))
    async with scratch_beside(tmp_path / "[disk]") as scratch:
        assert not left.exists()
        os.utime(scratch, (0, 0))
        async with scratch_beside(tmp_path / "[disk]"):
            assert scratch.exists()
    assert not scratch.exists()
    assert all(other.exists() for other in others)


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, each package once."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name, **_: "/bin/it" if name == "unshare" else None)
    with pytest.raises(EngineUnavailable) as caught:
        check_tools(("unshare", "mmdebstrap", "qemu-img"))
    assert str(caught.value) == ("image: there is no mmdebstrap, no qemu-img (apt-get install mmdebstrap qemu-utils)")


def test_root_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system's files belong to root."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="by root alone"):
        check_tools(())
