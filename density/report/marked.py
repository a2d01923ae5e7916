"""What every Markdown document is written with: words from outside that mean nothing, and tables; pure."""

import re
from collections.abc import Collection, Sequence

from density.text import one_line

LONGEST = 1200
_SPECIAL = re.compile(r"([\\`*_\[\]|~<>&$@]|^[#+-](?=[ #+-]|$)|(?<=^\d)\.(?= |$)|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def escape(text: str, longest: int = LONGEST) -> str:
    """Words from outside as one line without meaning in Markdown or HTML: no mark-up, no link, no mention."""
    line = one_line(text)
    short = line if len(line) <= longest else f"{line[:longest]}… ({len(line) - longest:,} more letters)"
    return _SPECIAL.sub(r"\\\1", short).replace(r"\<", "&lt;").replace(r"\>", "&gt;").replace(r"\&", "&amp;")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """A table of cells that are Markdown already; the columns `right`, counted from 0, are aligned to the right."""
    rules = ["---:" if index in right else "---" for index in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))
