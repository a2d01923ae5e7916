"""Tables of plain text, as wide as the terminal."""

import shutil
import textwrap
from collections.abc import Sequence

GAP = 2
_LAST_COLUMN = 20


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = 0) -> str:
    """Columns side by side; the last one takes what is left of `width` (0: the terminal's) and wraps."""
    width = width or shutil.get_terminal_size().columns
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    left = sum(widths) + GAP * len(widths)
    lines = []
    for row in (head, *rows):
        first = "".join(cell.ljust(size + GAP) for cell, size in zip(row, widths, strict=False))
        wrapped = textwrap.wrap(row[-1], max(width - left, _LAST_COLUMN)) or [""]
        lines += [(first + wrapped[0]).rstrip(), *(" " * left + more for more in wrapped[1:])]
    return "\n".join(lines)
