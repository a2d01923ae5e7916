"""Directories in places that everybody may write to: nobody else can put theirs there, or a link to somebody's."""

import multiprocessing
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from engines.contract import short_directory
from support.users import NOBODY, as_user

from density.cli import main
from density.controller.data import data_directory
from density.controller.paths import RunLock, make_run_dir, runtime_base
from density.errors import UsageError
from density.payload.guests.files import keep
from density.places import hand_over, own_directory, refuse_shared


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory of ours that every user may enter, as pytest's own is not."""
    with short_directory(0o755) as path:
        yield path


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory such as /tmp."""
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(0o1777)
    return directory


def mode(path: Path) -> int:
    """Of its permissions."""
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("wanted", [0o700, 0o711, 0o755])
def test_a_directory_has_the_mode_that_was_asked_for(wanted: int, shared: Path) -> None:
    """Whatever the umask, and whatever it had before."""
    before = os.umask(0o077)
    try:
        own_directory(shared / "a/b", wanted)
    finally:
        os.umask(before)
    (shared / "a/b").chmod(0o777)
    own_directory(shared / "a/b", wanted)
    assert mode(shared / "a/b") == wanted


@pytest.mark.root
def test_anothers_directory_is_refused(shared: Path) -> None:
    """Made by another user in a place such as /tmp, it is neither used nor changed, at no level."""
    as_user(NOBODY, (shared / "theirs").mkdir)
    assert (shared / "theirs").lstat().st_uid == NOBODY
    for path in (shared / "theirs", shared / "theirs/below"):
        with pytest.raises(UsageError, match="someone else"):
            own_directory(path, 0o711)
        with pytest.raises(UsageError, match="someone else"):
            make_run_dir(path / "r1")
    assert not any((shared / "theirs").iterdir())
    assert mode(shared / "theirs") != 0o711


@pytest.mark.root
def test_a_link_of_anothers_leads_nowhere(shared: Path, tmp_path: Path) -> None:
    """Not even to a directory of our own, whose mode would change."""
    ours = tmp_path / "ours"
    ours.mkdir(mode=0o700)
    as_user(NOBODY, lambda: (shared / "link").symlink_to(ours))
    for path in (shared / "link", shared / "link/below"):
        with pytest.raises(UsageError):
            own_directory(path, 0o711)
        with pytest.raises(UsageError), data_directory(path / "d"):
            pytest.fail("made")
    with pytest.raises(UsageError):
        keep(shared / "link/file", b"x")
    with pytest.raises(UsageError), RunLock("r1", base=shared / "link"):
        pytest.fail("locked")
    assert (mode(ours), list(ours.iterdir())) == (0o700, [])


@pytest.mark.root
def test_a_race_for_the_name_is_not_won(shared: Path, tmp_path: Path) -> None:
    """Whoever puts a directory and a link there in turns, as fast as can be, never has our own directory changed."""
    ours, base, over, met = tmp_path / "ours", shared / "base", threading.Event(), multiprocessing.Event()
    ours.mkdir(mode=0o700)

    def swap() -> None:
        for number in range(200_000):
            if number > 2_000 and met.is_set():
                return
            with suppress(OSError):
                base.symlink_to(ours)
                base.unlink()
            with suppress(OSError):
                base.mkdir()
                base.rmdir()

    def race() -> None:
        as_user(NOBODY, swap)
        over.set()

    thread = threading.Thread(target=race)
    thread.start()
    while not over.is_set():
        try:
            own_directory(base, 0o711)
            base.rmdir()
        except (UsageError, OSError):
            met.set()
        assert mode(ours) == 0o700
    thread.join()
    assert met.is_set()


def test_a_directory_where_everybody_renames_is_refused(tmp_path: Path) -> None:
    """Without the sticky bit anybody could put theirs in place of ours."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UsageError, match="everybody"):
        make_run_dir(tmp_path / "open/runs/r1")
    (tmp_path / "open").chmod(0o775)
    make_run_dir(tmp_path / "open/runs/r1")
    assert mode(tmp_path / "open/runs/r1") == 0o700


@pytest.mark.root
def test_as_a_user_without_a_runtime_directory(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base is in /tmp then, named after the user; one that another made first is refused in one sentence."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert as_user(NOBODY, runtime_base) == f"/tmp/density-{NOBODY}"
    base = shared / f"density-{NOBODY}"

    def lock() -> str:
        with RunLock("r1", base=base) as held:
            return oct(mode(held.directory)) + oct(mode(base))

    assert as_user(NOBODY, lock) == "0o7110o711"
    base.rmdir()
    base.mkdir()
    assert as_user(NOBODY, lock) == "UsageError"


@pytest.mark.root
def test_results_go_to_who_asked_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By sudo a run is root's while it goes on, then the person's who started it; a link in it is not followed."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    monkeypatch.setenv("SUDO_GID", str(NOBODY))
    make_run_dir(tmp_path / "runs/r1")
    (tmp_path / "other").touch()
    (tmp_path / "runs/r1/link").symlink_to(tmp_path / "other")
    (tmp_path / "runs/r1/below").mkdir()
    (tmp_path / "runs/r1/below/file").touch()
    assert (tmp_path / "runs/r1").stat().st_uid == 0
    hand_over(tmp_path / "runs/r1")
    assert {path.lstat().st_uid for path in (tmp_path / "runs").rglob("*")} == {NOBODY}
    assert (tmp_path / "runs").stat().st_uid == NOBODY
    assert ((tmp_path / "runs/r1").stat().st_uid, (tmp_path / "other").stat().st_uid) == (NOBODY, 0)
    refuse_shared(tmp_path / "runs/r1")


@pytest.mark.root
def test_nobody_else_reads_what_a_run_keeps(tmp_path: Path) -> None:
    """What instances print and what a profile gives them is in the record, the log and the profile as used."""
    before = os.umask(0)
    try:
        quick = [f"--set=ramp.{word}" for word in ("max=2", "start=2", "calibrate=0", "settle=0.2s", "hold=0s")]
        assert main(["run", "simulated", *quick, "--metrics", "off", "-q", "--runs-dir", str(tmp_path / "runs")]) == 0
    finally:
        os.umask(before)
    (run_dir,) = (tmp_path / "runs").iterdir()
    names = sorted(path.name for path in run_dir.iterdir())
    assert {"run.sqlite", "result.json", "profile.toml", "report.html"} <= set(names)
    for name in names:
        assert as_user(NOBODY, (run_dir / name).read_bytes) == "PermissionError"
    assert as_user(NOBODY, lambda: os.listdir(run_dir)) == "PermissionError"  # noqa: PTH208 — as short as can be
