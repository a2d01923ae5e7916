"""`density profiles`."""

import click

from density.cli.output import put
from density.cli.tables import table
from density.errors import UsageError
from density.profile.load import load_profile
from density.profile.problems import listed
from density.profile.source import read_source, shipped_directory, shipped_profiles

EXAMPLES = "\b\n" + "\n".join(
    (
        "density profiles quickstart > mine.toml      a copy to change",
        "density run mine.toml",
    )
)
"""Marked as lines that click leaves as they are."""


@click.command("profiles", epilog=EXAMPLES)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the profiles that ship with density, or print one."""
    if name is None:
        profiles = [load_profile(shipped) for shipped in shipped_profiles()]
        rows = [(profile.name, ", ".join(profile.engines), profile.description) for profile in profiles]
        put(table(("NAME", "ENGINES", "WHAT"), rows) + "\n", None)
    elif name in shipped_profiles():
        put(_copy(name), None)
    else:
        raise UsageError(f"no shipped profile is called {name!r}; there are {listed(shipped_profiles(), 'and')}")


def _copy(name: str) -> str:
    """A shipped profile as it is, with its schema's whole path, since the copy is kept elsewhere."""
    schema = shipped_directory().resolve() / "profile.schema.json"
    return read_source(name)[1].replace("#:schema ./profile.schema.json", f"#:schema {schema}", 1)
