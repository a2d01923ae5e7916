"""TOML text, read with errors that say where and what, and written."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

MOST_DEPTH = 20
"""Of tables and lists in one another; a profile has four."""
_TOO_DEEP = "nested too deeply to be a profile"
_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_TWICE = re.compile(r"Cannot (?:declare|mutate immutable namespace) \((.*?),?\)")
_PLAIN = {
    "Cannot overwrite a value": "this key is there twice",
    "Invalid value": "no value that TOML knows (text needs quotes)",
    "Expected newline or end of document": "more than a value (text needs quotes)",
    "Illegal character '\\n'": "the text has no closing quote",
    "Unterminated string": "the text has no closing quote",
}
"""How the parser's words begin, and what to say instead."""


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: not TOML; one sentence that starts with line and column.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_sentence(str(error), text)) from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except ValueError as error:  # Python reads no longer ones
        raise ValueError("a number with more digits than any number needs") from error
    if _is_deeper(tables, MOST_DEPTH):
        raise ValueError(_TOO_DEEP)
    return tables


def _is_deeper(tables: Mapping[str, Any], depth: int) -> bool:
    level: list[Any] = [tables]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def _sentence(message: str, text: str) -> str:
    match = _PLACE.fullmatch(message)
    if match is None:
        return message
    what, line, column = match.groups()
    lines = text.rstrip().splitlines() or [""]
    place = f"line {line}, column {column}" if line else f"line {len(lines)}, at the end"
    shown = lines[min(int(line or len(lines)), len(lines)) - 1].strip()
    return f"{place}: {_plain(what)}: {shown[:60]}"


def _plain(what: str) -> str:
    if twice := _TWICE.match(what):
        name = ".".join(part.strip(" '\"") for part in twice[1].split(","))
        return f"{name} is there twice"
    for beginning, plain in _PLAIN.items():
        if what.startswith(beginning):
            return plain
    return what[:1].lower() + what[1:]


def write_toml(tables: Mapping[str, Any]) -> str:
    """The TOML text of tables; values are text, numbers, booleans, lists of those and tables."""
    return "\n".join(_lines(tables, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], name: tuple[str, ...]) -> list[str]:
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    if name and (lines or not table):
        lines.insert(0, f"\n[{'.'.join(map(_key, name))}]")
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _lines(value, (*name, key))
    return lines


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # JSON's escapes are TOML's too, but TOML wants DEL escaped as well.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return repr(value)
