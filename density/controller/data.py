"""Where a run keeps what grows, which is no file system in memory: VM disks, copies of guests, containers' roots."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from density.controller.paths import make_base, state_dir
from density.errors import UsageError
from density.places import refuse_shared


def data_base() -> Path:
    """The directory with a directory for each run, where the profile names no other place. Not made here."""
    return state_dir() / "data"


def data_path(run_id: str, wanted: str = "") -> Path:
    """Where a run keeps what grows; `wanted` is the profile's `engines.data`. Not made here."""
    return Path(wanted) / f"density-{run_id}" if wanted else data_base() / run_id


@contextmanager
def data_directory(path: Path) -> Iterator[Path]:
    """Make the directory of a run, which is not there yet; afterwards it goes where it is empty.

    What is still in it then is for `density clean`, to which the run's intent names it.

    Raises:
        UsageError: it cannot be made, or others could put theirs in its place.
    """
    try:
        if path.parent == data_base():
            make_base(state_dir())
            make_base(path.parent)
        refuse_shared(path.parent)
        path.mkdir(mode=0o711)
        # QEMU runs as another user and has to reach its disks, whose own modes keep everybody else out.
        path.chmod(0o711)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}; the key data of [engines] names another place for "
                         "what grows") from error  # fmt: skip
    try:
        yield path
    finally:
        with suppress(OSError):
            path.rmdir()


def kept_data() -> tuple[str, ...]:
    """The runs that have a directory in the base, sorted."""
    try:
        return tuple(sorted(path.name for path in data_base().iterdir()))
    except OSError:
        return ()
