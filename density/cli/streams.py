"""Standard output and standard error whose failure ends nothing.

A run of an hour must not be lost because the terminal was closed, the reader of a pipe has gone or the disk behind a
redirection is full. What cannot be written is dropped, and so is everything after it; a full disk is remembered, so
that the command can say so and end with an exit code of its own.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO, cast

NOBODY_READS = frozenset({errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.EBADF})
"""The pipe has ended, the terminal was closed: nobody misses what is not written."""
NAMES = {1: "standard output", 2: "standard error"}


class Output:
    """A stream of the process, with everything it has but errors from writing.

    Attributes:
        problem: why something was not written that somebody may miss, in the system's words; else empty.
    """

    def __init__(self, stream: IO[Any], whole: "Output | None" = None) -> None:
        self._stream = stream
        self._whole = whole or self
        self.problem = ""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 — whatever the stream has
        return getattr(self._stream, name)

    @property
    def buffer(self) -> "Output":
        """The bytes below the text."""
        return Output(self._stream.buffer, self._whole)  # type: ignore[attr-defined]

    def write(self, data: str | bytes) -> int:
        """Write it, or drop it."""
        try:
            self._stream.write(data)
        except UnicodeEncodeError as error:  # a file's name need not be text
            self._stream.write(error.object.encode(error.encoding, "backslashreplace").decode(error.encoding))
        except OSError as error:
            self._whole.drop(error)
        return len(data)

    def writelines(self, lines: Iterator[str | bytes]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, or drop what waits."""
        try:
            self._stream.flush()
        except OSError as error:
            self._whole.drop(error)

    def drop(self, error: OSError) -> None:
        """Let what waits, and all that comes, go nowhere: also when Python ends, and from C libraries."""
        if error.errno not in NOBODY_READS:
            self.problem = self.problem or error.strerror or str(error)
        with suppress(OSError):  # a stream of a test has no descriptor
            descriptor = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


@contextmanager
def outputs() -> Iterator[dict[str, Output]]:
    """Put both streams of the process behind an `Output`; by their names as a person knows them."""
    before = sys.stdout, sys.stderr
    made = {name: Output(stream) for name, stream in zip(NAMES.values(), before, strict=True)}
    sys.stdout, sys.stderr = (cast("TextIO", output) for output in made.values())
    try:
        yield made
    finally:
        sys.stdout, sys.stderr = before


def was_lost() -> bool:
    """Whether something was not written that somebody may miss."""
    return any(isinstance(stream, Output) and stream.problem for stream in (sys.stdout, sys.stderr))


def open_standard_files() -> None:
    """Open what was closed (`>&-`) to /dev/null: else the record may get its number, and be written into by others."""
    for descriptor in (0, *NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)
