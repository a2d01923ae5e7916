"""Everything density raises on purpose.

DensityError                 exit 1
├── InternalFailure          exit 1   a fault of density's own that ended a run, in order; the traceback is in its log
├── UsageError               exit 2   a command line that asks for the impossible
│   ├── ProfileError         exit 2   a profile with problems, all of them at once
│   ├── CannotRun            exit 2   a workload that this host cannot run, such as a VM that does not boot here
│   ├── RecordError          exit 2   a record or a result that is damaged, or none
│   └── NoRoom               exit 2   not even one instance fits under a limit; a run ends with it as its ceiling
├── EngineUnavailable        exit 5   an engine that cannot be used, with how to get it
├── HostUnreadable           exit 5   the host's sensors do not answer, so that nothing may be launched on it
├── Unwritten                exit 6   what density writes could not be written whole: output, record, result
└── TooLittle                exit 7   density itself is not given what it needs, such as open files or room on a disk

Failures of single instances are not here: they are data (`density.model.Failure`).
"""

import errno
import resource
from collections.abc import Iterator, Sequence

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_THREAD = "can't start new thread"
"""Python's words where the kernel refuses a thread."""
_NO_NAME = frozenset({errno.ENAMETOOLONG, errno.ELOOP})


class DensityError(Exception):
    """Base of all errors with a message meant for the person at the terminal: one clear sentence."""

    exit_code = 1


class InternalFailure(DensityError):
    """A fault of density's own ended a run: everything was removed and reported all the same."""


class UsageError(DensityError):
    """Asked for something that cannot be; nothing was started."""

    exit_code = 2


class ProfileError(UsageError):
    """A profile with problems; `problems` has one sentence each: where, what was found, what is allowed."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


class CannotRun(UsageError):
    """This host cannot run a workload, whatever the profile says of it; with `missing = "skip"` the others go on."""


class RecordError(UsageError):
    """A record or a result that cannot be read: damaged, of another version, or something else altogether."""


class NoRoom(UsageError):
    """Not even one instance fits: `ceiling` is the id of what stops it; in a run that is a verdict, and no error."""

    def __init__(self, ceiling: str, reason: str) -> None:
        self.ceiling = ceiling
        super().__init__(reason)


class EngineUnavailable(DensityError):
    """An engine cannot be used; `remedy` says how to get it.

    `is_away`: its daemon is not there, or hung up, and may come back soon; waiting for it is up to who asked.
    """

    exit_code = 5

    def __init__(self, engine: str, reason: str, *, remedy: str = "", is_away: bool = False) -> None:
        self.engine = engine
        self.reason = reason
        self.remedy = remedy
        self.is_away = is_away
        super().__init__(f"{engine}: {reason}" + (f" ({remedy})" if remedy else ""))


class HostUnreadable(DensityError):
    """The host, or those of its sensors that nothing may be launched without, have not answered for too long."""

    exit_code = 5

    def __init__(self, seconds: float, sensors: Sequence[str] = ()) -> None:
        self.seconds = seconds
        self.sensors = tuple(sensors)
        which = f" ({', '.join(sensors)})" if sensors else ""
        super().__init__(f"the host could not be read for {seconds:.0f} s{which}: launching stopped")


class Unwritten(DensityError):
    """A disk is full or read-only: what was done is done, but not all that was to be written of it is."""

    exit_code = 6


class TooLittle(DensityError):
    """density itself cannot work with what it is allowed here; whatever was started is removed."""

    exit_code = 7


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, however deep they are nested; of any other, itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def meant(error: BaseException) -> DensityError | None:
    """The first that was raised on purpose, among others that followed from it; None where there is none.

    Where the system has refused density itself a file or memory, or what was typed is no file's name, that is no fault
    of its code, and is said as what it is.
    """
    found = list(leaves(error))
    on_purpose = next((leaf for leaf in found if isinstance(leaf, DensityError)), None)
    return on_purpose or next(filter(None, map(_refused, found)), None)


def too_few_files(limit: int, *, least: int) -> TooLittle:
    """What to say where density may have `limit` files open; `least`: as many as it needs, 0 where nobody knows."""
    needed = f", and needs {least} or more" if least else ", which is not enough"
    return TooLittle(f"density may have {limit} files open{needed}; raise the limit, such as by `ulimit -n 4096`")


def _refused(error: BaseException) -> DensityError | None:
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return too_few_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], least=0)
    if isinstance(error, OSError) and error.errno == errno.ENFILE:
        return TooLittle("no more files can be opened on this host: fs.file-max is reached")
    if isinstance(error, OSError) and error.errno in _NO_NAME:
        return UsageError(f"{str(error.filename)[:60]}: {error.strerror}")
    if isinstance(error, MemoryError):
        return TooLittle("there is no memory left for density itself")
    return None


def without_thread(error: BaseException) -> bool:
    """Whether the kernel refused density another thread."""
    return any(isinstance(leaf, RuntimeError) and NO_THREAD in str(leaf) for leaf in leaves(error))


def without_room(error: BaseException) -> TooLittle | None:
    """What to say where a disk had no room, or the kernel no thread, for what density itself cannot do without.

    None for any other exception. Not `meant`: in a launch it is the instance that failed, which is data.
    """
    if without_thread(error):
        remedy = "raise the limit, such as by `ulimit -u`, or pids.max of its cgroup"
        return TooLittle(f"density can have no more threads ({NO_THREAD}); {remedy}")
    for leaf in leaves(error):
        if isinstance(leaf, OSError) and leaf.errno in FULL_DISK:
            where = f" for {leaf.filename}" if leaf.filename else ""
            return TooLittle(f"no room{where}, which density cannot do without: {leaf.strerror}")
    return None


def in_short(error: BaseException) -> str:
    """An exception that was not raised on purpose, in one line: its type and words."""
    fault = next(leaves(error))
    return " ".join(f"{type(fault).__name__}: {fault}".split())
