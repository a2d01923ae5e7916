"""From what a command raised to an exit code and sentences for the person."""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from types import TracebackType

from density.errors import DensityError, ProfileError, UsageError

INTERRUPTED = 130
INTERNAL = 1
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOBODY_READS = frozenset({errno.EPIPE, errno.EIO})


class Unread:
    """Goes on where nobody reads what is written in here any more: the pipe has ended, the terminal was closed.

    Raises:
        UsageError: standard output is a file that cannot be written: the disk is full.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # SystemExit is what click and rich make of a pipe that has ended.
        if isinstance(error, SystemExit) or (isinstance(error, OSError) and error.errno in _NOBODY_READS):
            return True
        if isinstance(error, OSError) and error.errno in _FULL:
            _let_go()
            raise UsageError(f"standard output cannot be written: {error.strerror}") from error
        return False


def _let_go() -> None:
    """What could not be written is not tried again when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def explain(error: BaseException, *, with_traceback: bool) -> tuple[int, list[str]]:
    """The exit code, and one sentence for each thing that went wrong.

    What was not raised on purpose is a fault of density's own: its traceback goes to a file, or into the sentences
    where it was asked for.
    """
    leaves = list(_leaves(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return INTERRUPTED, ["interrupted"]
    faults = [leaf for leaf in leaves if not isinstance(leaf, DensityError)]
    if not faults:
        code = max(leaf.exit_code for leaf in leaves if isinstance(leaf, DensityError))
        return code, [sentence for leaf in leaves for sentence in _sentences(leaf)]
    text = "".join(traceback.format_exception(error))
    what = f"density itself failed: {type(faults[0]).__name__}: {faults[0]}".splitlines()[0]
    return INTERNAL, [f"{what}\n{text}" if with_traceback else f"{what}; {_written(text)}"]


def _sentences(error: BaseException) -> list[str]:
    """One for each problem of a profile; else one, perhaps with lines below it: what an instance has said."""
    return str(error).splitlines() if isinstance(error, ProfileError) else [str(error)]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _written(text: str) -> str:
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="density-traceback-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(text)
    except OSError as error:
        return f"its traceback could not be written ({error.strerror}); --traceback shows it"
    return f"its traceback is in {file.name}"
