"""`density profiles`."""

import click

from density.cli.tables import table
from density.errors import UsageError
from density.profile.load import load_profile
from density.profile.problems import listed
from density.profile.source import read_source, shipped_profiles

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
        click.echo(table(("NAME", "ENGINES", "WHAT"), rows))
    elif name in shipped_profiles():
        click.echo(read_source(name)[1], nl=False)
    else:
        raise UsageError(f"no shipped profile is called {name!r}; there are {listed(shipped_profiles(), 'and')}")
