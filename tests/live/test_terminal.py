"""Drawing in place, seen as the codes that are sent."""

import io

from rich.console import Console
from rich.text import Text

from density.live.terminal import Terminal

HIDE, SHOW, ERASE_LINE, ERASE_BELOW = "\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[J"


class _Screen:
    """A terminal of which the codes of the last drawing can be read."""

    def __init__(self, width: int = 80) -> None:
        self._file = io.StringIO()
        self.console = Console(file=self._file, force_terminal=True, width=width, color_system=None)
        self.terminal = Terminal(self.console)

    def draw(self, *lines: str) -> str:
        self.terminal.draw([Text(line) for line in lines])
        return self.taken()

    def taken(self) -> str:
        text = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return text


def test_only_lines_that_changed_are_sent() -> None:
    """Up to the first line, over what stayed, and the changed line anew."""
    screen = _Screen()
    assert screen.draw("one", "two") == f"{HIDE}\r{ERASE_BELOW}{ERASE_LINE}one\r\n{ERASE_LINE}two\r\n{ERASE_BELOW}"
    assert screen.draw("one", "2") == f"\r\x1b[2A\r\n{ERASE_LINE}2\r\n{ERASE_BELOW}"
    assert screen.draw("one", "2") == f"\r\x1b[2A\r\n\r\n{ERASE_BELOW}"


def test_a_shorter_view_leaves_nothing_below() -> None:
    """What the longer one had is erased."""
    screen = _Screen()
    screen.draw("one", "two", "three")
    assert screen.draw("one") == f"\r\x1b[3A\r\n{ERASE_BELOW}"


def test_after_a_resize_everything_is_sent_from_where_it_began() -> None:
    """A line of 30 cells takes two rows on a terminal that is 20 wide now."""
    screen = _Screen(40)
    screen.draw("x" * 30, "two")
    screen.console.width = 20
    again = screen.draw("x" * 19, "two")
    assert again == f"\r\x1b[3A{ERASE_BELOW}{ERASE_LINE}{'x' * 19}\r\n{ERASE_LINE}two\r\n{ERASE_BELOW}"


def test_a_line_above_stays() -> None:
    """It takes the block's place, and the block is drawn again whole below it."""
    screen = _Screen()
    screen.draw("one", "two")
    screen.terminal.above("told")
    assert screen.taken() == f"\r\x1b[2A{ERASE_BELOW}told\r\n"
    assert screen.draw("one", "two") == f"\r{ERASE_LINE}one\r\n{ERASE_LINE}two\r\n{ERASE_BELOW}"


def test_the_cursor_is_given_back_once() -> None:
    """Ending twice sends one code; drawing after the end sends nothing; nothing drawn, nothing to give back."""
    screen = _Screen()
    screen.draw("one")
    screen.terminal.end()
    screen.terminal.end()
    assert screen.taken() == SHOW
    assert screen.draw("two") == ""
    fresh = _Screen()
    fresh.terminal.end()
    assert fresh.taken() == ""
