"""The log: what density did and what failed on the way, a line an entry, for whoever looks into a run afterwards.

Lines are `key=value` (logfmt) and begin with the time of day, the run's clock, the level and the logger, so that they
can be searched, and put beside the record. A traceback follows its line, indented.

A module that has something to say makes its own logger: `log = logger(__name__)`. Nothing is written anywhere until a
`LogFile` is entered or `show` was called.
"""

import logging
import queue
import sys
import time
from collections.abc import Iterable
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import Any, Self, TextIO, cast

import structlog
from structlog.typing import EventDict

from density.text import visible

NAME = "density.log"
"""Of the file in a run's directory."""
ROOT = "density"
MAX_BYTES = 8 * 2**20
"""A file this large becomes `density.log.1`, in place of the one before: a run's log is never larger than two."""
WAITING = 20_000
"""Lines kept in memory while the disk does not take them; what comes after that is left out."""
CLOSE_SECONDS = 5.0
"""How long leaving waits for a disk that does not answer."""

Logger = structlog.stdlib.BoundLogger


logging.getLogger(ROOT).addHandler(logging.NullHandler())  # else Python writes warnings to standard error by itself


def logger(name: str) -> Logger:
    """The logger of a module."""
    wrapped = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return cast("Logger", wrapped)


def show(verbosity: int) -> None:
    """Write the log to standard error as well: 1 what matters, 2 everything, 0 nothing; replaces what was before."""
    root = logging.getLogger(ROOT)
    for handler in [handler for handler in root.handlers if isinstance(handler, _Stderr)]:
        root.removeHandler(handler)
    root.setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)
    root.propagate = False
    if verbosity:
        root.addHandler(_Stderr())


def is_shown() -> bool:
    """Whether the log goes to standard error."""
    return any(isinstance(handler, _Stderr) for handler in logging.getLogger(ROOT).handlers)


class LogFile:
    """A context manager that writes the log into a file, by a thread, so that a slow disk does not stop the run.

    A file that cannot be written ends nothing: see `problem`.

    Attributes:
        problem: why a line is missing from the file; empty where none is.
    """

    def __init__(self, path: Path) -> None:
        self._file = _File(path)
        self._queue = _Queue(queue.Queue(WAITING))
        self._queue.setFormatter(_formatter())
        self._listener = QueueListener(self._queue.queue, self._file)

    @property
    def problem(self) -> str:
        """As the class says."""
        full = "the disk took too long, so lines are missing" if self._queue.lost else ""
        return self._file.problem or full

    def __enter__(self) -> Self:
        root = logging.getLogger(ROOT)
        if root.level == logging.NOTSET:
            root.setLevel(logging.INFO)
        root.propagate = False
        root.addHandler(self._queue)
        logging.getLogger("asyncio").addHandler(self._queue)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(ROOT).removeHandler(self._queue)
        logging.getLogger("asyncio").removeHandler(self._queue)
        thread = getattr(self._listener, "_thread", None)
        self._listener.enqueue_sentinel()
        if thread is not None:
            thread.join(CLOSE_SECONDS)
        if thread is None or not thread.is_alive():
            self._file.close()


class _Queue(QueueHandler):
    """Hands finished lines to the thread; counts those that found no place."""

    lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 — the library's signature
        self.lost += 1


class _File(RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True, errors="replace")
        self.problem = ""

    def close(self) -> None:
        try:
            super().close()
        except OSError:
            self.handleError(logging.makeLogRecord({}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 — the library's signature
        self.problem = f"{self.baseFilename} could not be written: {sys.exc_info()[1]}"


class _Stderr(logging.StreamHandler[TextIO]):
    """Standard error as it is at the time; lines that nobody reads are dropped."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 — the library's signature
        return


def _formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _line],
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder(), structlog.processors.format_exc_info],
        use_get_message=True,
    )


def _clock(_: Any, __: str, entry: EventDict) -> EventDict:  # noqa: ANN401 — structlog's signature
    entry["clock"] = round(time.monotonic(), 3)
    return entry


_SHARED: Iterable[Any] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    _clock,
)
_LOGFMT = structlog.processors.LogfmtRenderer(key_order=["time", "clock", "level", "logger", "event"])


def _line(wrapped: Any, method: str, entry: EventDict) -> str:  # noqa: ANN401 — structlog's signature
    """One line, and below it the traceback where there is one."""
    traceback = entry.pop("exception", None)
    line = visible(_LOGFMT(wrapped, method, {key.replace(" ", "_"): value for key, value in entry.items()}))
    parts = [f"  | {visible(part)}" for part in traceback.splitlines()] if traceback else []
    return "\n".join([line, *parts])
