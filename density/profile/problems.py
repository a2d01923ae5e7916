"""What is wrong with a profile, one sentence each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time

Key = tuple[str, ...]
MOST_SHOWN = 10**30
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class ExplainedError(ValueError):
    """A value that cannot be, whose words say more than what is allowed in general."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Attributes:
        key: where, from the top table down; empty: the whole profile.
        text: what was found and what is allowed, without the key.
        about: other keys that it depends on; where one of those has a problem of its own, this one is not told.
    """

    key: Key
    text: str
    about: tuple[Key, ...] = ()

    def __str__(self) -> str:
        return f"{dotted(self.key)}: {self.text}" if self.key else self.text


def dotted(key: Sequence[str]) -> str:
    """A key as TOML writes it: `workloads.web.memory`, with quotes where a part needs them."""
    return ".".join(part if _BARE.fullmatch(part) else found(part) for part in key)


def flat(table: Mapping[str, object], key: Key = ()) -> Iterator[tuple[str, object]]:
    """The keys and values of nested tables, keys dotted."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, (*key, name))
        else:
            yield dotted((*key, name)), value


def listed(words: Sequence[str], last: str) -> str:
    """`a, b or c`, with `last` before the last one."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def related(one: Key, other: Key) -> bool:
    """Whether they are the same key, or one is the table that the other is in."""
    return all(a == b for a, b in zip(one, other, strict=False))


def found(value: object) -> str:
    """A TOML value as a sentence names it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            shown = value if len(value) <= 60 else value[:57] + "..."
            shown = shown.encode("utf-8", "backslashreplace").decode()  # what came with --set need not be text
            return '"' + shown.replace("\n", "\\n") + '"'
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case date() | time():
            return f"the date or time {value}"
        case _:
            is_long = isinstance(value, int) and abs(value) > MOST_SHOWN
            return "a number with too many digits" if is_long else repr(value)
