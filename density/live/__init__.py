"""What a person sees while a run goes on: a view that is redrawn on a terminal, plain lines anywhere else."""

from rich.console import Console

from density.live.plain import PlainView
from density.live.view import TerminalView
from density.state import RunState

__all__ = ["PlainView", "TerminalView", "live_view"]


def live_view(state: RunState, console: Console) -> TerminalView | PlainView:
    """The sink that fits the console, which should be on standard error, so that standard output stays free for data.

    `state` is the run's, and has folded an event before `handle` gets it.
    """
    on_terminal = console.is_terminal and not console.is_dumb_terminal
    return TerminalView(state, console) if on_terminal else PlainView(state, console.file)
