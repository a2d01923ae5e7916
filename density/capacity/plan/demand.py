"""What is in demand: how many of each workload, as `web=500,db=40`, or from a TOML or CSV text."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping

from density.errors import UsageError
from density.profile.problems import found
from density.units import format_counted

ALLOWED = "a whole number, 1 or more"
MOST = 10_000_000
_EXAMPLE = "web=500,db=40"
_HEAD = ("workload", "count")


def parse_demand(text: str) -> dict[str, int]:
    """From `web=500,db=40`.

    Raises:
        UsageError: one sentence.
    """
    pairs = []
    for part in text.split(","):
        name, equals, count = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise UsageError(
                f"--demand {text}: {found(part.strip())} is not WORKLOAD=COUNT, such as {_EXAMPLE}, "
                "nor a file that ends in .toml or .csv"
            )
        pairs.append((name, count))
    return _demand(pairs, f"--demand {text}")


def demand_of_tables(tables: Mapping[str, object], source: str) -> dict[str, int]:
    """From a TOML file: `web = 500`, in a table [demand] or in none.

    Raises:
        UsageError: one sentence.
    """
    inner = tables.get("demand", tables)
    beside = [name for name in tables if name != "demand"]
    if inner is not tables and beside:
        raise UsageError(f"{source}: {beside[0]} is beside [demand]; allowed is either all in that table, or no table")
    if not isinstance(inner, dict):
        raise UsageError(f"{source}: demand: found {found(inner)}; allowed is a table, such as [demand] with web = 500")
    return _demand(inner.items(), source)


def demand_of_csv(text: str, source: str) -> dict[str, int]:
    """From lines of `web,500`, with or without the heading `workload,count`.

    Raises:
        UsageError: one sentence.
    """
    pairs = []
    for number, row in enumerate(_rows(text, source), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and tuple(cell.lower() for cell in cells) == _HEAD):
            continue
        if len(cells) != 2:
            have = format_counted(len(cells), "cell", "cells")
            raise UsageError(f"{source}: line {number} has {have}; allowed is WORKLOAD,COUNT, such as web,500")
        pairs.append((cells[0], cells[1]))
    return _demand(pairs, source)


def _rows(text: str, source: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(text.splitlines())
    except csv.Error as error:
        raise UsageError(f"{source}: not CSV: {error}") from error


def add_up(demands: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Several demands together."""
    total: dict[str, int] = {}
    for demand in demands:
        for name, count in demand.items():
            total[name] = total.get(name, 0) + count
    return total


def _demand(pairs: Iterable[tuple[str, object]], source: str) -> dict[str, int]:
    demand: dict[str, int] = {}
    for name, count in pairs:
        if name in demand:
            raise UsageError(f"{source}: {name} is there twice")
        demand[name] = _count(name, count, source)
    if not demand:
        raise UsageError(f"{source}: nothing is in demand; allowed is WORKLOAD = COUNT, such as web = 500")
    return demand


def _count(name: str, value: object, source: str) -> int:
    text = value if isinstance(value, str) else repr(value)
    whole = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,12}(_[0-9]{1,3})*", text) is not None
    if not whole or not 1 <= int(text) <= MOST:
        raise UsageError(f"{source}: {name}: found {found(value)}; allowed is {ALLOWED}, at most {MOST:,}")
    return int(text)
