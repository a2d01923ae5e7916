"""Where a run keeps what: sockets while it lives, images for all runs, results for good; and its lock."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from density.errors import UsageError
from density.places import invoker, own_directory, refuse_shared

RUNS_DIR_VARIABLE = "DENSITY_RUNS_DIR"
RECORD = "run.sqlite"
"""Of a run's record in the directory of its results."""
NEW = ".new-"
"""How a run's runtime directory is called until it is locked."""
_LOCK = "lock"
_LOCK_SECONDS = 5.0
"""For a run's own lock, which a clean-up has for the moment in which it looks at it."""
_LOOK_SECONDS = 0.01


def runtime_base() -> Path:
    """The directory with a directory for each live run: sockets, its lock. Not made here."""
    if os.geteuid() == 0:
        return Path("/run/density")
    if base := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(base) / "density"
    return Path(f"/tmp/density-{os.geteuid()}")  # noqa: S108 — RunLock makes it, and refuses one that is not ours


def cache_dir() -> Path:
    """Images, guests and payloads that outlive runs. Not made here.

    Raises:
        UsageError: this user has no home directory, as in a container that runs under any number.
    """
    return Path("/var/cache/density") if os.geteuid() == 0 else _of_user("XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """What outlives runs and reboots and is no cache, such as what runs were about to create. Not made here.

    Raises:
        UsageError: this user has no home directory.
    """
    return Path("/var/lib/density") if os.geteuid() == 0 else _of_user("XDG_STATE_HOME", ".local/state")


def _of_user(variable: str, below: str) -> Path:
    """The directory of density where this variable says, else below the home directory."""
    if base := os.environ.get(variable):
        return Path(base) / "density"
    try:
        return Path.home() / below / "density"
    except RuntimeError as error:
        raise UsageError(f"user {os.geteuid()} has no home directory; set HOME, or {variable}") from error


def runs_dir() -> Path:
    """Results: DENSITY_RUNS_DIR, else `runs` where density is started. Not made here."""
    return Path(os.environ.get(RUNS_DIR_VARIABLE) or "runs")


def make_run_dir(path: Path) -> None:
    """Make the directory of a run's results, which is not there yet: what instances print is for this user alone.

    Raises:
        UsageError: others could put theirs in its place.
        OSError: it cannot be made, or is there.
    """
    refuse_shared(path.parent)
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        if owner := invoker():
            os.chown(path.parent, *owner)  # by sudo: the next run may be without
    path.mkdir(mode=0o700)
    path.chmod(0o700)  # whatever the umask


class RunLock:
    """Says that a run is alive, for as long as it is held; a context manager that makes the run's runtime directory.

    The kernel lets go of it when the process ends, however it ends. On leaving, the directory goes where it is empty;
    what is still in it is for `density clean`.

    Attributes:
        directory: the run's runtime directory, which QEMU's user can traverse.
    """

    def __init__(self, run_id: str, *, base: Path | None = None) -> None:
        self._base = base or runtime_base()
        self.directory = self._base / run_id
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Raises UsageError where the run's id is taken, or the directory is someone else's or cannot be made."""
        make_base(self._base)
        with ExitStack() as stack:
            # Locked before it gets its name, so that a clean-up never sees a run that is not yet alive.
            new = self._base / f"{NEW}{self.directory.name}-{os.getpid()}"
            try:
                new.mkdir(mode=0o711)  # QEMU's user passes through, and nobody else can list it
                new.chmod(0o711)
                stack.enter_context(_held(new / _LOCK))
                new.rename(self.directory)
            except OSError as error:
                shutil.rmtree(new, ignore_errors=True)
                if self.directory.exists():
                    raise UsageError(f"there is a run {self.directory.name} already: {self.directory}") from error
                raise UsageError(f"{self.directory} cannot be made: {error.strerror}") from error
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self.directory / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            self.directory.rmdir()
        self._held.close()


def make_base(base: Path) -> None:
    """Make a directory that has a directory for each run: 0711, as QEMU runs as another user and passes through.

    Raises:
        UsageError: it is someone else's, or cannot be made.
    """
    try:
        own_directory(base, 0o711)
    except OSError as error:
        raise UsageError(f"{base} cannot be made: {error.strerror}") from error


def known_runs(base: Path) -> dict[str, bool]:
    """The runs that have a runtime directory, sorted: id -> whether its lock is held, so that it is alive."""
    try:
        names = sorted(path.name for path in base.iterdir() if path.is_dir() and not path.name.startswith("."))
    except FileNotFoundError:
        return {}
    return {name: is_alive(base / name) for name in names}


def directories(base: Path, run_id: str) -> list[Path]:
    """The runtime directory of a run, and one that it was about to take when it died."""
    return [path for name in (run_id, f"{NEW}{run_id}-*") for path in base.glob(name) if path.is_dir()]


def alive_runs() -> set[str]:
    """The runs on this host that go on."""
    return {name for name, held in known_runs(runtime_base()).items() if held}


def is_alive(directory: Path) -> bool:
    """Whether the run with this runtime directory goes on: its lock is held. A lock that is gone is not made again."""
    try:
        file = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _got(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Make a lock, and hold it until left.

    Raises:
        OSError: it cannot be made, or somebody else keeps it.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while not _got(file, fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise BlockingIOError(errno.EWOULDBLOCK, "another process keeps its lock")
            time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(file)


def _got(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
