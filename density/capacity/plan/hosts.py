"""The hosts that a person offers: `big:cpus=64,memory=512GiB,price=900`, or tables of a TOML file, one a host type."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction

from density.capacity.plan.host_values import COUNT, PRICE, read_count, read_limit, read_price
from density.capacity.plan.resources import OF_THE_RUN
from density.ceilings.catalog import CATALOG
from density.errors import UsageError
from density.profile.problems import flat, found, listed
from density.profile.scalars import NAME_ALLOWED, NAME_PATTERN

KEYS: Mapping[str, str] = {
    "cpus": "cpu.busy",
    "memory": "memory.available",
    "disk": "disk.space",
    "inodes": "disk.inodes",
    "pid_max": "tasks.pid_max",
    "threads_max": "tasks.threads_max",
    "file_max": "files.file_max",
    "instances": "instances",
}
"""What most people set of a host -> the resource that it limits. Ids of hard ceilings do as well."""
_HARD = tuple(ceiling.id for ceiling in CATALOG if not ceiling.soft and not ceiling.own)
_OF_THE_RUN = {f"{ceiling}.{subject}".rstrip("."): what for (ceiling, subject), what in OF_THE_RUN.items()}
_EXAMPLE = "cpus=64,memory=512GiB"


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host type, as far as a person described it.

    Attributes:
        limits: resource, as `CEILING` (every subject of it) or `CEILING.SUBJECT`, -> limit in the resource's unit.
        price: of one host, in any currency and for any time; None: not said.
        most: how many of them there are; None: as many as it takes.
    """

    name: str
    limits: Mapping[str, float] = field(default_factory=dict)
    price: Fraction | None = None
    most: int | None = None


def parse_host(text: str, *, name: str) -> HostSpec:
    """From `[NAME:]KEY=VALUE,KEY=VALUE`; `name` is taken where none is given.

    Raises:
        UsageError: every problem, one sentence a line.
    """
    where = f"--host {text}"
    given, colon, rest = text.partition(":")
    if not colon or "=" in given:
        given, rest = name, text
    pairs: list[tuple[str, object]] = []
    for part in rest.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key or not equals:
            raise UsageError(f"{where}: {found(part.strip())} is not KEY=VALUE, such as {_EXAMPLE}")
        pairs.append((key, value))
    return _spec(given.strip(), pairs, where)


def parse_hosts(tables: Mapping[str, object], source: str) -> list[HostSpec]:
    """From the tables of a TOML file: the name of each is the host type's.

    Raises:
        UsageError: every problem, one sentence a line.
    """
    specs = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{source}: {name}: found {found(table)}; allowed is a table, such as [{name}]")
        # A dotted key, such as files.process.dockerd, is nested tables to TOML.
        specs.append(_spec(name, list(flat(table)), f"{source}: {name}"))
    if not specs:
        raise UsageError(f"{source}: no host; a table each, such as [big] with cpus = 64")
    return specs


def check_together(specs: Sequence[HostSpec]) -> None:
    """That names differ, and that either all have a price or none has.

    Raises:
        UsageError: one sentence.
    """
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two hosts are called {name}; give them names, such as --host {name}-2:{_EXAMPLE}")
    without = [spec.name for spec in specs if spec.price is None]
    if without and len(without) < len(specs):
        raise UsageError(f"no price for {listed(without, 'and')}, while other hosts have one (0 is allowed)")


def _spec(name: str, pairs: Sequence[tuple[str, object]], where: str) -> HostSpec:
    problems = [] if re.fullmatch(NAME_PATTERN, name) else [f"{found(name)} is no name; allowed is {NAME_ALLOWED}"]
    limits: dict[str, float] = {}
    price, most = None, None
    seen: set[str] = set()
    for key, value in pairs:
        try:
            resource = key if key in {PRICE, COUNT} else _resource(key)
            problems += [f"{key} is there twice"] if resource in seen else []
            seen.add(resource)
            if key == PRICE:
                price = read_price(value)
            elif key == COUNT:
                most = read_count(value)
            else:
                limits[resource] = read_limit(key, resource, value)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(f"{where}: {problem}" for problem in problems))
    return HostSpec(name, limits, price, most)


def _resource(key: str) -> str:
    if key in KEYS:
        return KEYS[key]
    if key in _OF_THE_RUN:
        raise ValueError(f"{key} is a limit of the run itself ({_OF_THE_RUN[key]}), which a planned host has not")
    if any(key == id_ or key.startswith(f"{id_}.") for id_ in _HARD):
        return key
    known = (*KEYS, PRICE, COUNT, *_HARD)
    near = get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    hint = (
        f"did you mean {near[0]}?" if near else f"allowed are {', '.join(known[: len(KEYS) + 2])} and ids of ceilings"
    )
    raise ValueError(f"unknown key {key}; {hint}")
