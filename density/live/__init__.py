"""What a person sees while a run goes on: a view that is redrawn on a terminal, plain lines anywhere else."""

from rich.console import Console

from density.live.plain import PlainView
from density.live.view import TerminalView
from density.profile.spec import Ramp
from density.state import RunState

__all__ = ["PlainView", "TerminalView", "live_view"]


def live_view(state: RunState, console: Console, *, ramp: Ramp | None = None) -> TerminalView | PlainView:
    """The sink that fits the console.

    Args:
        state: the run's; has folded an event before `handle` gets it.
        console: where a run prints data on standard output, the one on standard error.
        ramp: of the run's profile; without it nobody knows how many waves to expect, and how much time.
    """
    on_terminal = console.is_terminal and not console.is_dumb_terminal
    return TerminalView(state, console, ramp=ramp) if on_terminal else PlainView(state, console.file, ramp=ramp)
