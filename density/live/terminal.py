"""Drawing lines in place on a terminal: only those that changed, in one write."""

import threading

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_HIDE_CURSOR = "\x1b[?25l"
_SHOW_CURSOR = "\x1b[?25h"
_ERASE_LINE = "\x1b[2K"
_ERASE_BELOW = "\x1b[J"
END_SECONDS = 1.0


class Terminal:
    """A block of lines at the cursor, redrawn in place; what was above it stays, and so does the last drawing."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[Text] = []
        self._width = 0
        self._hidden = False
        self._ended = False
        self._lock = threading.Lock()

    def draw(self, lines: list[Text]) -> None:
        """Replace what was drawn before; nothing once `end` was called.

        Raises:
            OSError: the terminal is gone.
        """
        width = self._console.width
        before = self._drawn if width == self._width else []
        parts = [] if self._hidden else [_HIDE_CURSOR]
        parts.append(self._to_top(width))
        for number, line in enumerate(lines):
            if number >= len(before) or before[number] != line:
                parts += [_ERASE_LINE, self._ansi(line)]
            parts.append("\r\n")
        parts.append(_ERASE_BELOW)
        with self._lock:
            if not self._ended:
                self._drawn, self._width, self._hidden = lines, width, True
                self._write("".join(parts))

    def above(self, line: str) -> None:
        """Write a line that stays, above the block; the block comes back with the next drawing.

        Raises:
            OSError: the terminal is gone.
        """
        with self._lock:
            self._write(f"{self._to_top(self._console.width)}{_ERASE_BELOW}{line}\r\n")
            self._drawn = []

    def end(self) -> None:
        """Give the cursor back; may be called again and from any thread.

        A terminal that takes nothing is left alone after a moment: whoever wants to exit must not hang on it.

        Raises:
            OSError: the terminal is gone.
        """
        self._ended = True
        if self._lock.acquire(timeout=END_SECONDS):
            try:
                if self._hidden:
                    self._hidden = False
                    self._write(_SHOW_CURSOR)
            finally:
                self._lock.release()

    def _to_top(self, width: int) -> str:
        """To the first line drawn; a terminal that became narrower has folded what was wider than it is now."""
        rows = sum(max(1, -(-cell_len(line.plain.rstrip()) // max(width, 1))) for line in self._drawn)
        up = f"\x1b[{rows}A" if rows else ""
        return f"\r{up}{_ERASE_BELOW if width != self._width else ''}"

    def _ansi(self, line: Text) -> str:
        with self._console.capture() as capture:
            self._console.print(line, end="", no_wrap=True, overflow="ignore", crop=False, highlight=False)
        return capture.get()

    def _write(self, data: str) -> None:
        file = self._console.file
        file.write(data.encode(self._console.encoding, "replace").decode(self._console.encoding))
        file.flush()
