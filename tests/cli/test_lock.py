"""What says that a run is alive: a lock that the kernel lets go of."""

import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from density.controller import paths
from density.controller.paths import RunLock, cache_dir, is_alive, known_runs, runs_dir, runtime_base
from density.errors import UsageError


def test_a_run_is_alive_while_its_lock_is_held(tmp_path: Path) -> None:
    """And then neither it nor its directory is known any more."""
    with RunLock("r1", base=tmp_path) as lock:
        assert lock.directory == tmp_path / "r1"
        assert known_runs(tmp_path) == {"r1": True}
        assert is_alive(lock.directory)
    assert known_runs(tmp_path) == {}
    assert not is_alive(lock.directory)


def test_what_a_run_left_in_its_directory_stays_for_the_clean_up(tmp_path: Path) -> None:
    """Leaving removes an empty directory only."""
    with RunLock("r1", base=tmp_path) as lock:
        (lock.directory / "overlay").touch()
    assert known_runs(tmp_path) == {"r1": False}


def test_a_killed_run_is_not_alive(tmp_path: Path) -> None:
    """SIGKILL leaves the directory and the file, and no lock."""
    program = f"""
import os, signal
from pathlib import Path
from density.controller.paths import RunLock
RunLock("r1", base=Path({str(tmp_path)!r})).__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert (tmp_path / "r1" / "lock").exists()
    assert known_runs(tmp_path) == {"r1": False}


def _ending_meanwhile(monkeypatch: pytest.MonkeyPatch, lock: RunLock) -> None:
    """Whoever opens that run's lock finds that the run has ended just before."""
    opened = os.open

    def late(path: os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        monkeypatch.setattr(os, "open", opened)
        lock.__exit__(None, None, None)
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", late)


def test_a_run_that_ends_while_it_is_looked_at_is_not_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its directory is gone between two looks: whoever lists the runs goes on."""
    _ending_meanwhile(monkeypatch, RunLock("r1", base=tmp_path).__enter__())
    assert known_runs(tmp_path) == {"r1": False}
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_run_that_ends_makes_no_leftover_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is gone is not made again: with it the directory would stay."""
    lock = RunLock("r1", base=tmp_path).__enter__()
    removed = Path.rmdir

    def looked_at(directory: Path) -> None:
        assert not is_alive(directory)
        removed(directory)

    monkeypatch.setattr(Path, "rmdir", looked_at)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    lock.__exit__(None, None, None)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_looked_at_while_it_begins_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean-up has its lock in that instant: the run waits for it, rather than to go on without one."""
    taken = fcntl.flock
    looking: list[int] = []

    def raced(file: int, how: int) -> None:
        if how & fcntl.LOCK_EX and not looking:
            looking.append(os.open(f"/proc/self/fd/{file}", os.O_RDONLY))
            taken(looking[0], fcntl.LOCK_SH)
            threading.Timer(0.05, os.close, looking).start()
        taken(file, how)

    monkeypatch.setattr(fcntl, "flock", raced)
    with RunLock("r1", base=tmp_path) as lock:
        assert looking
        assert is_alive(lock.directory)


def test_a_lock_that_somebody_keeps_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No run goes on without its lock, and nothing of it stays."""

    def kept(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(paths, "_LOCK_SECONDS", 0.05)
    monkeypatch.setattr(fcntl, "flock", kept)
    with pytest.raises(UsageError, match="r1 cannot be made"), RunLock("r1", base=tmp_path):
        pytest.fail("there is no lock")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_live_beside_each_other_but_not_by_one_id(tmp_path: Path) -> None:
    """A taken id is said, and harms neither the run that has it nor the next."""
    with RunLock("r1", base=tmp_path), RunLock("r2", base=tmp_path):
        with pytest.raises(UsageError, match="there is a run r1 already"), RunLock("r1", base=tmp_path):
            pytest.fail("the id is taken")
        assert known_runs(tmp_path) == {"r1": True, "r2": True}
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".new")] == []


def test_others_can_pass_through_but_not_look(tmp_path: Path) -> None:
    """QEMU runs as another user and has to reach its sockets, whatever the umask."""
    base = tmp_path / "base"
    with RunLock("r1", base=base) as lock:
        for directory in (base, lock.directory):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o711


def test_a_base_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """In a directory for everyone, such as /tmp, it may be someone's trap."""
    (tmp_path / "target").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "target")
    with pytest.raises(UsageError, match="no directory of its own"), RunLock("r1", base=tmp_path / "base"):
        pytest.fail("the base is a link")


def test_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root has the system's places; others what XDG names, else their own."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "DENSITY_RUNS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert (runtime_base(), cache_dir()) == (Path("/run/density"), Path("/var/cache/density"))
    assert runs_dir() == Path("runs")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert runtime_base() == Path("/tmp/density-1000")
    assert cache_dir() == Path.home() / ".cache" / "density"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    monkeypatch.setenv("DENSITY_RUNS_DIR", "/r")
    assert (runtime_base(), cache_dir(), runs_dir()) == (Path("/run/user/1000/density"), Path("/c/density"), Path("/r"))


@pytest.mark.root
def test_a_place_without_room_is_told(tmp_path: Path) -> None:
    """Two inodes: a directory can be made, its lock cannot. One sentence, and the directory goes again."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=2", "tmpfs", tmp_path], check=True)
    try:
        with (
            pytest.raises(UsageError, match=r"r1 cannot be made: No space"),
            RunLock("r1", base=tmp_path),
        ):
            pass
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
