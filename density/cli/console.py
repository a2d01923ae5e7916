"""The console that every command prints on."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from density.cli.output import LINES
from density.text import visible


class SafeConsole(Console):
    """A console of rich's that styles what it writes, and lets no text from outside do so."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does, with everything in the text visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text, keep=LINES))
