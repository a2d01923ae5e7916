"""The views as sinks: on a pseudo-terminal, on a pipe, and where nobody reads."""

import fcntl
import io
import os
import pty
import re
import struct
import termios
import threading
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from rich.console import Console

from density.events import Event, Held, HostSampled, Stopped, TornDown
from density.live import PlainView, TerminalView, live_view
from density.state import RunState

pytestmark = pytest.mark.anyio

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
CLEANED = "OCI runtime create failed: [red]runc [2J unable to start: can't get final child's PID"
DRAWING = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]+A|2K|J|\?25[lh])")
"""Everything that the view may send besides text: styles, cursor up, erase, cursor off and on."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The drawing thread asks whichever event loop runs."""
    backend: str = request.param
    return backend


class FakeTerminal:
    """A pseudo-terminal; it takes nothing, as after Ctrl-S, until `read` is called."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        self._chunks: list[bytes] = []
        self._reader = threading.Thread(target=self._read)

    def read(self) -> None:
        """Begin to take what is drawn."""
        self._reader.start()

    def fill(self) -> None:
        """Write until the terminal takes no more."""
        file = self.file.fileno()
        os.set_blocking(file, False)
        with suppress(BlockingIOError):
            while True:
                os.write(file, b"." * 4096)
        os.set_blocking(file, True)

    def close(self) -> str:
        """Leave the terminal, and give all that was drawn on it."""
        self.file.close()
        self._reader.join()
        os.close(self.master)
        return b"".join(self._chunks).decode()

    def hang_up(self) -> None:
        """Close the terminal's window."""
        os.close(self.master)

    def _read(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self.master, 65536):
                self._chunks.append(chunk)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> FakeTerminal:
    """A colour terminal of 80 columns, whatever the tests run on."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return FakeTerminal()


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


async def test_the_cursor_is_given_back_after_an_error(terminal: FakeTerminal, events: list[Event]) -> None:
    """An exception that goes through the view leaves the terminal as it was."""
    terminal.read()
    view = live_view(RunState(), Console(file=terminal.file))
    with pytest.raises(ZeroDivisionError):
        async with view:
            raise ZeroDivisionError
    assert terminal.close().endswith(SHOW)


async def test_nothing_foreign_reaches_the_terminal(terminal: FakeTerminal, events: list[Event]) -> None:
    """Escape sequences and markup of names and messages arrive as text or not at all."""
    terminal.read()
    state = RunState()
    await _show(live_view(state, Console(file=terminal.file)), state, events)
    drawn = terminal.close()
    assert "[bold]emulated" in drawn
    assert DRAWING.sub("", drawn).replace("\r", "").replace("\n", "").isprintable()


async def test_no_color_is_respected(
    terminal: FakeTerminal, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With NO_COLOR no colour is sent; bold stays."""
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.read()
    state = RunState()
    await _show(live_view(state, Console(file=terminal.file)), state, events)
    assert set(re.findall(r"\x1b\[([0-9;]*)m", terminal.close())) <= {"0", "1"}


async def test_a_stopped_terminal_does_not_stop_the_run(
    terminal: FakeTerminal, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Ctrl-S on, events are taken as ever, and leaving takes a moment, not for ever."""
    monkeypatch.setattr("density.live.view.CLOSE_SECONDS", 0.2)
    terminal.fill()
    state = RunState()
    view = live_view(state, Console(file=terminal.file))
    with anyio.fail_after(10):
        await _show(view, state, events)
    assert state.alive == 3
    terminal.hang_up()
    assert isinstance(view, TerminalView)
    assert view._thread is not None
    view._thread.join()
    with suppress(OSError):
        terminal.file.close()


async def test_a_terminal_that_hangs_up_does_not_stop_the_run(terminal: FakeTerminal, events: list[Event]) -> None:
    """A closed window ends the drawing, and nothing else."""
    terminal.hang_up()
    state = RunState()
    await _show(live_view(state, Console(file=terminal.file)), state, events)
    assert state.alive == 3
    with suppress(OSError):
        terminal.file.close()


async def test_the_terminal_can_be_given_back_at_once(terminal: FakeTerminal, events: list[Event]) -> None:
    """For an exit that leaves no context manager: nothing is drawn from then on."""
    terminal.read()
    state = RunState()
    view = live_view(state, Console(file=terminal.file))
    async with view:
        for event in events:
            state.apply(event)
        view.restore()
    assert HIDE not in terminal.close()


async def test_the_view_goes_on_while_the_run_is_cancelled(terminal: FakeTerminal, events: list[Event]) -> None:
    """Teardown after Ctrl-C is shown, although everything around it is cancelled."""
    terminal.read()
    state = RunState()
    view = live_view(state, Console(file=terminal.file))
    with anyio.CancelScope() as scope:
        async with view:
            for event in events:
                state.apply(event)
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                state.apply(TornDown(9.0, 4, (), 1.0))
                view.handle(TornDown(9.0, 4, (), 1.0))
    assert "Removed 4 in 1 s, nothing is left" in terminal.close()


async def test_a_line_for_the_person_stays_on_the_screen(terminal: FakeTerminal, events: list[Event]) -> None:
    """What is told while the view is shown comes before its last drawing, once, cleaned; plain lines say it too."""
    terminal.read()
    view = live_view(RunState(), Console(file=terminal.file))
    async with view:
        view.tell("interrupted:\x1b[2J removing everything")
    drawn = terminal.close()
    assert drawn.count("interrupted: [2J removing everything\r") == 1
    assert drawn.index("interrupted") < drawn.rindex("Preparing")
    file = io.StringIO()
    plain = live_view(RunState(), Console(file=file))
    async with plain:
        plain.tell("interrupted")
    assert file.getvalue() == "interrupted\n"


async def test_plain_lines_where_there_is_no_terminal(events: list[Event]) -> None:
    """One line for each thing that matters, with the time, nothing a terminal would obey, and no colour."""
    file, state = io.StringIO(), RunState()
    view = live_view(state, Console(file=file))
    assert isinstance(view, PlainView)
    await _show(
        view,
        state,
        [*events, Stopped(62.0, "max", "as many as asked for"), Held(80.0, {"web": 3}, {"web": 3}, (), kept=True)],
    )
    assert file.getvalue().splitlines() == [
        "[  0:00] run r1: profile quick[bold], until safe",
        "[  0:00] Preparing engines, images and guests",
        "[  0:00] warning: [bold]emulated ]0;title guests",
        "[  0:01] Ramping up",
        "[  0:01] wave 1: launching 3 web, 1 guest, to have 4",
        f"[  0:03] guest-0 failed: try_again: {CLEANED}",
        "[  0:04] wave 1 settled: 3 web ready, failed: 1 try_again",
        "[  0:04] forecast: tasks.pid_max at 900",
        "[  0:05] wave 2: launching 5 web, 1 guest, to have 9",
        "[  1:02] stopped: as many as asked for",
        "[  1:20] held: 3 web ready, everything was kept",
    ]


async def test_a_dumb_terminal_gets_plain_lines(terminal: FakeTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor's shell cannot move the cursor."""
    monkeypatch.setenv("TERM", "dumb")
    terminal.read()
    assert isinstance(live_view(RunState(), Console(file=terminal.file)), PlainView)
    terminal.close()


async def test_plain_lines_come_at_most_every_ten_seconds_otherwise(events: list[Event]) -> None:
    """A long quiet hold says where things stand now and then, not at every sample."""
    file, state = io.StringIO(), RunState()
    values = {"cpu.busy_ratio": 0.5, "memory.available_bytes": 2.0**34, "tasks.count": 1300.0}
    samples: list[Event] = [HostSampled(6.0 + second, values, 0.0) for second in range(60)]
    await _show(PlainView(state, file), state, [*events, *samples])
    standing = [line for line in file.getvalue().splitlines() if "on their way" in line]
    assert standing[0] == "[  0:15] 3 ready, 1 on their way, cpu 50%, 16 GiB of memory free, 1,300 tasks"
    assert [line[3:7] for line in standing] == ["0:15", "0:25", "0:35", "0:45", "0:55", "1:05"]


async def test_a_reader_that_went_away_does_not_stop_the_run(events: list[Event]) -> None:
    """`density run 2>&1 | head` ends the lines, and nothing else."""
    reader, writer = os.pipe()
    os.close(reader)
    state = RunState()
    file = os.fdopen(writer, "w")
    await _show(PlainView(state, file), state, events)
    assert state.alive == 3
    with suppress(OSError):
        file.close()
