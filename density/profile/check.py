"""Every problem of a profile's tables: values first, each by itself, then what they have to do with each other."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from itertools import islice
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from density.profile.document import Document
from density.profile.problems import Key, Problem, found, related
from density.profile.rules import RULES

Tables = dict[str, Any]
MOST_PROBLEMS = 100
"""Nobody reads more at once, and a file with more is no profile but something else."""


def check(tables: Mapping[str, Any]) -> tuple[Document, list[Problem]]:
    """The document of these tables without what is wrong in them, and every problem, in the order of the tables."""
    problems, bad = [], []
    healthy = deepcopy(dict(tables))
    try:
        document = Document.model_validate(healthy)
    except ValidationError as error:
        details = error.errors(include_url=False)
        if len(details) > MOST_PROBLEMS:
            some = [_problem(detail)[0] for detail in details[:MOST_PROBLEMS]]
            return Document(), [*some, Problem((), f"{len(details) - MOST_PROBLEMS:,} more mistakes like these")]
        for detail in details:
            problem, instead = _problem(detail)
            problems.append(problem)
            bad += [problem.key, *instead]
            _remove(healthy, problem.key)
        document = Document.model_validate(healthy)
    more = list(islice((problem for rule in RULES for problem in rule(document)), MOST_PROBLEMS))
    problems += [
        problem
        for problem in more
        if not any(related(key, spoilt) for key in (problem.key, *problem.about) for spoilt in bad)
    ]
    return document, _in_order(problems, tables)


def _problem(detail: Mapping[str, Any]) -> tuple[Problem, list[Key]]:
    """A problem from pydantic's account of it, and the keys that were probably meant."""
    location = tuple(part for part in detail["loc"] if part != "[key]")
    key = tuple(str(part) for part in location)
    match detail["type"]:
        case "extra_forbidden":
            known = _keys_of(key[:-1])
            near = get_close_matches(key[-1].lower(), known, n=1, cutoff=0.55)
            hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(known)}"
            return Problem(key, f"unknown key; {hint}"), [(*key[:-1], name) for name in near]
        case "model_type" | "dict_type" | "model_attributes_type":
            return Problem(key, f"found {found(detail['input'])}; allowed is a table"), []
        case "tuple_type":
            return Problem(key, f"found {found(detail['input'])}; allowed is a list"), []
    words = str(detail["ctx"]["error"])
    if isinstance(location[-1], int):
        return Problem(key[:-1], f"item {location[-1] + 1}: {words}"), []
    return Problem(key, words), []


def _keys_of(key: Key) -> Sequence[str]:
    """The keys that the table at `key` may have."""
    model: Any = Document
    parts = iter(key)
    for part in parts:
        model = model.model_fields[part].annotation
        if get_origin(model) is dict:
            next(parts)  # the name that a person gave it
            model = get_args(model)[1]
    return tuple(model.model_fields)


def _remove(tables: Tables, key: Key) -> None:
    """Take out what the problem is about."""
    for part in key[:-1]:
        if not isinstance(tables.get(part), dict):
            return
        tables = tables[part]
    tables.pop(key[-1], None)


def _in_order(problems: Sequence[Problem], tables: Mapping[str, Any]) -> list[Problem]:
    """As a person reads the file: what is not in it comes last of its table."""

    def place(problem: Problem) -> list[int]:
        places, table = [], tables
        for part in problem.key:
            names = list(table) if isinstance(table, Mapping) else []
            places.append(names.index(part) if part in names else len(names))
            table = table[part] if part in names else {}
        return places

    return sorted(problems, key=place)
