"""`density schema`."""

import json

import click

from density.cli.output import echo
from density.profile.schema import profile_schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of profiles.

    Editors complete and check a profile that names it in its first line: #:schema PATH
    """
    echo(json.dumps(profile_schema(), indent=2, ensure_ascii=False))
