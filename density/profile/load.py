"""From a profile's name or file to a profile, or to every problem that it has; and back to TOML."""

from collections.abc import Sequence
from pathlib import Path

from density.errors import ProfileError
from density.profile.check import check
from density.profile.convert import to_profile, to_tables
from density.profile.overrides import apply_overrides
from density.profile.problems import Key, Problem, related
from density.profile.source import read_source
from density.profile.spec import Profile
from density.profile.toml import parse_toml, write_toml


def load_profile(source: str | Path, *, overrides: Sequence[str] = ()) -> Profile:
    """The profile of a file, or the shipped one of that name.

    Args:
        source: a path, or the name of a shipped profile.
        overrides: `KEY=VALUE` with dotted keys; a value is TOML, or else text.

    Raises:
        ProfileError: with every problem, one sentence each.
    """
    name, text = read_source(source)
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise ProfileError(name, [str(error)]) from error
    keys, problems = apply_overrides(tables, overrides)
    document, found = check(tables)
    problems += found
    if problems:
        raise ProfileError(name, [_sentence(problem, keys) for problem in problems])
    return to_profile(document)


def _sentence(problem: Problem, overridden: Sequence[Key]) -> str:
    by_hand = problem.key and any(related(problem.key, key) for key in overridden)
    return f"{problem} (from the command line)" if by_hand else str(problem)


def profile_to_toml(profile: Profile) -> str:
    """The profile as it is used, with every default; `load_profile` makes the same profile of it."""
    return write_toml(to_tables(profile))
