"""`--set KEY=VALUE`: values on the command line that take the place of a profile's."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from density.profile.problems import Key, Problem, dotted, found, listed
from density.profile.rules import SHAPES
from density.profile.toml import MOST_DEPTH, parse_toml


def apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> tuple[list[Key], list[Problem]]:
    """Set these in the tables; the keys that were set, and what cannot be set."""
    keys: list[Key] = []
    problems: list[Problem] = []
    for override in overrides:
        text, equals, value = override.partition("=")
        key = tuple(part.strip() for part in text.split("."))
        if not _is_text(override):
            problems.append(Problem((), f"--set {found(override)} is not text in UTF-8"))
        elif not equals or not all(key) or len(key) > MOST_DEPTH:
            problems.append(Problem((), f"--set {found(override)} is not KEY=VALUE, such as ramp.max=50"))
        elif wrong := _set(tables, key, _value(value)):
            problems.append(wrong)
        else:
            keys.append(key)
    if ("ramp", "shape") in keys:
        _leave_old_shape(tables["ramp"], keys)
    return keys, problems


def _set(tables: dict[str, Any], key: Key, value: object) -> Problem | None:
    workloads = tables.get("workloads")
    if key[0] == "workloads" and len(key) > 1 and isinstance(workloads, dict) and key[1] not in workloads:
        near = get_close_matches(key[1], workloads, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {listed(list(workloads), 'and')}"
        return Problem(key[:2], f"no such workload; {hint}")
    table: Any = tables
    for depth, part in enumerate(key[:-1], start=1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return Problem(key, f"cannot be set, as {dotted(key[:depth])} is no table but {found(table)}")
    table[key[-1]] = value
    return None


def _is_text(argument: str) -> bool:
    """Bytes of a command line that are no text come as lone surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _value(text: str) -> object:
    """A TOML value where it is one, else the text itself, so that `64MiB` needs no quotes."""
    try:
        tables = parse_toml(f"value = {text}")
    except ValueError:
        return text.strip()
    return tables["value"] if tables.keys() == {"value"} else text


def _leave_old_shape(ramp: dict[str, Any], keys: Sequence[Key]) -> None:
    """Another shape was asked for: what the profile says for its own shape no longer counts."""
    for name, shapes in SHAPES.items():
        if ramp["shape"] not in shapes and ("ramp", name) not in keys:
            ramp.pop(name, None)
