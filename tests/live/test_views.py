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
from density.profile.spec import Ramp
from density.state import RunState, fold

pytestmark = pytest.mark.anyio

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
CLEANED = "OCI runtime create failed: [red]runc\\x1b[2J\\u202e unable to start: can't get final child's PID"
DRAWING = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]+A|2K|J|\?25[lh])")
"""Everything that the view may send besides text: styles, cursor up, erase, cursor off and on."""
RAMP = Ramp(start=4, calibrate=0)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The drawing thread asks whichever event loop runs."""
    backend: str = request.param
    return backend


class FakeTerminal:
    """A pseudo-terminal; it takes nothing, as after Ctrl-S, until `read` is called."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        self.resize(80, 40)
        self._chunks: list[bytes] = []
        self._reader = threading.Thread(target=self._read)

    def resize(self, width: int, height: int) -> None:
        """Drag the window's corner."""
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self) -> None:
        """Begin to take what is drawn."""
        self._reader.start()

    async def shows(self, text: str) -> None:
        """Wait until this was drawn."""
        with anyio.fail_after(10):
            while text.encode() not in b"".join(self._chunks):  # noqa: ASYNC110 — a thread reads what is drawn
                await anyio.sleep(0.01)

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


async def test_a_resize_is_followed(
    terminal: FakeTerminal, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a window of 60 columns and 15 lines, what is drawn from then on fits; nothing of it is wider or longer."""
    monkeypatch.setattr("density.live.view.PERIOD_SECONDS", 0.01)
    terminal.read()
    state = fold(events)
    # Rich asks the standard streams for the size of the terminal first, which these tests may or may not have.
    monkeypatch.setattr("rich.console._STD_STREAMS", (terminal.file.fileno(),))
    async with live_view(state, Console(file=terminal.file), ramp=RAMP):
        await terminal.shows("[bold]emulated")
        terminal.resize(60, 15)
        state.apply(Stopped(9.0, "max", "as many as asked for"))
        await terminal.shows("as many as asked for")
    anew = re.split(r"\x1b\[[0-9]+A", terminal.close().rpartition("\x1b[J\x1b[2K")[2])[0]
    lines = DRAWING.sub("", anew).replace("\r", "").split("\n")
    assert lines[0].startswith("density  quick[bold]")
    assert max(len(line) for line in lines) == 59
    assert len(lines) <= 15


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
    assert drawn.count("interrupted:\\x1b[2J removing everything\r") == 1
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
        "[  0:00] warning: [bold]emulated\\x1b]0;title\\x07 guests",
        "[  0:01] measured the host at rest",
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
    await _show(PlainView(state, file, ramp=RAMP), state, [*events, *samples])
    standing = [line for line in file.getvalue().splitlines() if "; 3 ready" in line]
    assert standing[0] == (
        "[  0:15] Wave 2 of ~8: launching 5 containers and 1 VM; tasks.pid_max in ~897; "
        "3 ready, cpu 50%, 16 GiB of memory free, 1,300 tasks; about 9 min left"
    )
    assert [line[3:7] for line in standing] == ["0:15", "0:25", "0:35", "0:45", "0:55", "1:05"]


async def test_plain_lines_that_begin_amid_a_run_say_first_where_it_stands(events: list[Event]) -> None:
    """Whoever comes later need not wait for the next event."""
    file, state = io.StringIO(), fold(events)
    await _show(live_view(state, Console(file=file), ramp=RAMP), state, [])
    assert file.getvalue().startswith("[  0:05] Wave 2 of ~8: launching 5 containers and 1 VM; ")


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
