"""Words from outside: made harmless before anybody sees them, and searched at a cost that nobody can raise."""

import re
from collections.abc import Sequence

_ANYTHING_FIRST = re.compile(r"(?:\.\*\??)+(?![*+?{])")
_UNUSUAL = re.compile(r"[^ -~]")
"""Everything but the letters, digits and signs of ASCII; most text has none of it."""


def visible(text: str, *, keep: str = "") -> str:
    r"""The same with everything visible that a terminal would obey or nobody would see.

    Control, escape, direction and invisible characters become what they are called in most programs (`\x1b`, `\u202e`),
    and blanks of every kind a space; half a character (a lone surrogate) can be written to any file afterwards.

    Args:
        text: of any length.
        keep: what is left as it is, such as line feeds.
    """

    def shown(found: re.Match[str]) -> str:
        letter = found[0]
        if letter.isprintable() or letter in keep:
            return letter
        return " " if letter.isspace() else letter.encode("unicode_escape").decode("ascii")

    return _UNUSUAL.sub(shown, text)


def one_line(text: str) -> str:
    """The same in one line, with single spaces."""
    return " ".join(visible(text).split())


def line_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern to look for in lines, such as `.*ready`; what may come before it changes nothing, and is left out.

    With it a search takes the square of a line's length: it is tried from each letter, up to the end.

    Raises:
        re.error: it is no pattern.
    """
    whole = re.compile(pattern)
    first = _ANYTHING_FIRST.match(pattern)
    return re.compile(pattern[first.end() :]) if first else whole


def last_line(lines: Sequence[str]) -> str:
    """The last line that is not empty."""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
