"""Words from outside made harmless: what engines, instances, profiles and records say, before anybody sees it."""

import re

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
