"""Removing directories: never through a link, never through a mount."""

import subprocess
import sys
from pathlib import Path

import pytest

from density.host.removing import mounts_at, remove_all

MOUNTINFO = """\
21 26 0:20 / /proc rw,relatime - proc proc rw
30 26 0:5 / /run/density/r1/data rw - tmpfs tmpfs rw
31 30 0:6 / /run/density/r1/data/in\\040ner rw - tmpfs tmpfs rw
32 26 0:7 / /run/density/r10 rw - tmpfs tmpfs rw
"""


def test_what_is_mounted_below() -> None:
    """The deepest first, with spaces as they are; nothing whose name only begins alike."""
    below = [Path("/run/density/r1/data/in ner"), Path("/run/density/r1/data")]
    assert mounts_at(MOUNTINFO, Path("/run/density/r1")) == below
    assert mounts_at(MOUNTINFO, Path("/run/density/r1/data")) == below
    assert mounts_at(MOUNTINFO, Path("/run/density/r2")) == []


def test_files_directories_and_links(tmp_path: Path) -> None:
    """All of them go, what a link leads to stays, and what is not there is no leftover."""
    precious = tmp_path / "precious"
    (precious / "file").mkdir(parents=True)
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/link").symlink_to(precious)
    (tmp_path / "f").touch()
    (tmp_path / "l").symlink_to(precious)
    assert remove_all(tmp_path / name for name in ("d", "f", "l", "absent")) == []
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert (precious / "file").is_dir()


@pytest.mark.root
def test_what_is_behind_a_mount_stays(tmp_path: Path) -> None:
    """A directory of somebody else's that is mounted into ours is detached before anything is removed."""
    precious, ours = tmp_path / "precious", tmp_path / "ours"
    precious.mkdir()
    (precious / "file").touch()
    (ours / "inner").mkdir(parents=True)
    program = f"""
import subprocess
from pathlib import Path
from density.host.removing import remove_all
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "--bind", {str(precious)!r}, {str(ours / "inner")!r}], check=True)
with open({str(ours / "inner/file")!r}):  # in use, so that it can only be detached
    print(remove_all([Path({str(ours)!r})]))
"""
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
    assert not ours.exists()
    assert (precious / "file").exists()
