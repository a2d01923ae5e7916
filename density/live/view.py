"""The live view on a terminal: a sink that costs the event loop nothing but a flag, and a thread that draws."""

import atexit
import os
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import anyio
import anyio.from_thread
import anyio.lowlevel
from anyio.lowlevel import EventLoopToken
from rich.console import Console
from rich.text import Text

from density.events import Event
from density.live.bar import ASCII, UNICODE
from density.live.frame import frame
from density.live.terminal import Terminal
from density.log import logger
from density.profile.spec import Ramp
from density.state import RunState
from density.text import one_line
from density.threads import in_thread

log = logger(__name__)
PERIOD_SECONDS = 0.5
"""The view is redrawn at most this often, and only when something happened or the clock has moved on."""
CLOSE_SECONDS = 2.0
"""How long closing waits for a terminal that takes nothing (Ctrl-S); the run's end must not hang on it."""


class TerminalView:
    """Sink: an async context manager that shows `state` until it is left; the last view stays on the screen.

    Composing the lines happens in the event loop (a few milliseconds, between two events, so they are
    consistent), drawing in a thread, since a terminal may block for as long as it likes and the run must not.
    """

    def __init__(self, state: RunState, console: Console, *, ramp: Ramp | None = None) -> None:
        self._state = state
        self._console = console
        self._ramp = ramp
        self._glyphs = UNICODE if _shows_unicode(console) else ASCII
        self._terminal = Terminal(console)
        self._news = True
        self._told: SimpleQueue[str] = SimpleQueue()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def handle(self, event: Event) -> None:  # noqa: ARG002 — the state has it already
        """Note that there is something new to show."""
        self._news = True

    def tell(self, line: str) -> None:
        """Show the person a line that stays, above the view, within PERIOD_SECONDS."""
        self._told.put(one_line(line))

    def restore(self) -> None:
        """Give the terminal back at once, for an exit that leaves no context manager; nothing is drawn from then on."""
        with suppress(OSError):
            self._terminal.end()

    async def __aenter__(self) -> Self:
        """Begin to draw."""
        atexit.register(self.restore)
        token = anyio.lowlevel.current_token()
        self._thread = threading.Thread(target=self._run, args=(token,), name="density-live", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Draw the last state and give the terminal back."""
        assert self._thread is not None, "not entered"
        self._closing.set()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await in_thread(self._thread.join, abandon_on_cancel=True)
        atexit.unregister(self.restore)

    def _run(self, token: EventLoopToken) -> None:
        try:
            self._draw_until_closed(token)
            self._terminal.end()
        except (OSError, RuntimeError):
            return  # the terminal or the event loop is gone, and with it whoever looked
        except Exception:
            log.exception("live view failed")
            self.restore()

    def _draw_until_closed(self, token: EventLoopToken) -> None:
        shown_second = -1
        closing = False
        while not closing:
            closing = self._closing.wait(PERIOD_SECONDS)
            while not self._told.empty():
                self._terminal.above(self._told.get())
                self._news = True
            second = int(time.monotonic())
            if closing or self._news or second != shown_second:
                self._news, shown_second = False, second
                self._terminal.draw(anyio.from_thread.run_sync(self._compose, token=token))

    def _compose(self) -> list[Text]:
        width, height = self._console.size
        now = self._state.now if self._state.stage == "done" else anyio.current_time()
        return frame(self._state, now, width=width - 1, height=height - 1, glyphs=self._glyphs, ramp=self._ramp)


def _shows_unicode(console: Console) -> bool:
    """By its encoding, which Python takes to be UTF-8 in the C locale as well."""
    return console.encoding.lower().startswith("utf") and os.environ.get("LC_ALL") not in ("C", "POSIX")
