"""The views as sinks: on a pseudo-terminal, on a pipe, and where nobody reads."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest
from rich.console import Console

from density.events import Event, Stopped
from density.live import PlainView, TerminalView, live_view
from density.state import RunState

pytestmark = pytest.mark.anyio

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
DRAWING = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]+A|2K|J|\?25[lh])")
"""Everything that the view may send besides text: styles, cursor up, erase, cursor off and on."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The drawing thread asks whichever event loop runs."""
    backend: str = request.param
    return backend


class FakeTerminal:
    """A pseudo-terminal; what was drawn on it is in `text` once it is closed."""

    def __init__(self, width: int = 80, height: int = 40) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        self._chunks: list[bytes] = []
        self._reader = threading.Thread(target=self._read)

    def read(self) -> None:
        """Begin to take what is drawn; until then the terminal is as if stopped by Ctrl-S."""
        self._reader.start()

    def close(self) -> str:
        """Hang up, and give all that was drawn."""
        self.file.close()
        if self._reader.ident:
            self._reader.join()
        os.close(self._master)
        return b"".join(self._chunks).decode()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._master, 65536):
                self._chunks.append(chunk)
        except OSError:
            return


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTerminal]:
    """A colour terminal of 80 columns, whatever the tests run on."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    yield FakeTerminal()


async def _show(view: TerminalView | PlainView, state: RunState, events: list[Event]) -> None:
    async with view:
        for event in events:
            state.apply(event)
            view.handle(event)


async def test_the_last_state_is_drawn_and_the_cursor_given_back(terminal: FakeTerminal, events: list[Event]) -> None:
    """However short the run, its end is on the screen, and the cursor is visible again."""
    terminal.read()
    state = RunState()
    view = live_view(state, Console(file=terminal.file))
    assert isinstance(view, TerminalView)
    await _show(view, state, [*events, Stopped(9.0, "max", "as many as asked for")])
    drawn = terminal.close()
    assert "Stopped: as many as asked for" in drawn
    assert drawn.startswith(HIDE)
    assert drawn.endswith(SHOW)
    assert drawn.count(SHOW) == 1


async def test_nothing_foreign_reaches_the_terminal(terminal: FakeTerminal, events: list[Event]) -> None:
    """Escape sequences and markup of names and messages arrive as text or not at all."""
    terminal.read()
    state = RunState()
    await _show(live_view(state, Console(file=terminal.file)), state, events)
    drawn = terminal.close()
    assert "[bold]emulated" in drawn
    assert DRAWING.sub("", drawn).replace("\r\n", "").replace("\r", "").isprintable()


async def test_no_color_is_respected(
    terminal: FakeTerminal, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With NO_COLOR no colour is sent; bold stays."""
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.read()
    state = RunState()
    await _show(live_view(state, Console(file=terminal.file)), state, events)
    styles = set(re.findall(r"\x1b\[([0-9;]*)m", terminal.close()))
    assert styles <= {"", "0", "1", "39", "49", "39;49", "1;39", "22"}


async def test_only_what_changed_is_drawn_again(terminal: FakeTerminal, events: list[Event]) -> None:
    """A second drawing of the same view sends no text at all; after a resize everything is sent."""
    terminal.read()
    console = Console(file=terminal.file)
    view = TerminalView(RunState(), console)
    state = RunState()
    for event in events:
        state.apply(event)
    async with view:
        pass
    terminal.close()


async def test_a_stopped_terminal_does_not_stop_the_run(terminal: FakeTerminal, events: list[Event]) -> None:
    """With Ctrl-S on, events are taken as ever and leaving takes a moment, not for ever."""
    state = RunState()
    view = live_view(state, Console(file=terminal.file))
    with anyio.fail_after(10):
        async with view:
            await anyio.to_thread.run_sync(_fill, terminal)
            for event in events:
                state.apply(event)
                view.handle(event)
    terminal.close()


def _fill(terminal: FakeTerminal) -> None:
    """Write until the terminal takes no more."""
    file = terminal.file.fileno()
    os.set_blocking(file, False)
    try:
        while True:
            os.write(file, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(file, True)
