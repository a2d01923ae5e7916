"""`density doctor`."""

import json
from functools import partial
from pathlib import Path

import anyio
import click

from density.cli.console import SafeConsole
from density.cli.output import echo
from density.controller.doctor import examine
from density.controller.paths import runs_dir as default_runs_dir
from density.controller.preflight import refuse_problems
from density.errors import UsageError
from density.model import Workload
from density.profile.load import load_profile
from density.profile.scalar import MOST_COUNT
from density.profile.spec import Profile
from density.report.doctor import diagnose
from density.report.doctor_document import document
from density.report.doctor_script import script
from density.report.doctor_view import print_diagnosis

DOES_NOT_FIT = 3
PLAIN = Profile(name="container", workloads=(Workload(name="container", engine="docker"),))
"""What is looked at where no profile is named."""


EXAMPLES = "\b\n" + "\n".join(
    (
        "density doctor containers --for 5000                     exit code 3: they do not fit",
        "density doctor containers --for 5000 --script > raise.sh",
        "sh raise.sh         as root; sh raise.sh undo puts everything back",
    )
)
"""Marked as lines that click leaves as they are."""


@click.command("doctor", epilog=EXAMPLES)
@click.argument("profile", required=False, metavar="[PROFILE]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the profile; repeatable.")
@click.option(
    "--for",
    "wanted",
    type=click.IntRange(min=1, max=MOST_COUNT),
    metavar="N",
    help="What has to be raised for N instances.",
)
@click.option("--script", "as_script", is_flag=True, help="With --for: print a shell script that raises it.")
@click.option("--runs-dir", type=click.Path(path_type=Path), help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    profile: str | None,
    *,
    overrides: tuple[str, ...],
    wanted: int | None,
    as_script: bool,
    runs_dir: Path | None,
    as_json: bool,
) -> int:
    """Say what fits here, what is nearest, and how to raise it.

    Every ceiling, with what one more of PROFILE's instances takes of it (measured by the profile's last run, else
    declared by the profile, else typical) and the count at which it is reached. Without PROFILE: a plain container.
    Nothing is started or changed. Exit code 3 with --for: N do not fit, or nobody knows yet whether they do.
    """
    if as_script and (wanted is None or as_json):
        raise UsageError("--script needs --for N, and goes without --json")
    loaded, title = _profile(profile, overrides)
    found = anyio.run(partial(examine, loaded, runs_dir=runs_dir or default_runs_dir()))
    refuse_problems(problem for engine in found.engines for problem in engine.refused)
    diagnosis = diagnose(loaded, found, title=title, wanted=wanted or 0)
    if as_script:
        # What was asked for is the script: that it is needed is no failure.
        echo(script(diagnosis), nl=False)
        return 0
    if as_json:
        echo(json.dumps(document(diagnosis), indent=2, allow_nan=False))
    else:
        print_diagnosis(diagnosis, SafeConsole(highlight=False))
    return DOES_NOT_FIT if wanted and not diagnosis.fits else 0


def _profile(source: str | None, overrides: tuple[str, ...]) -> tuple[Profile, str]:
    if source is None:
        if overrides:
            raise UsageError("--set needs a PROFILE")
        return PLAIN, "a plain container, as no profile is named"
    loaded = load_profile(source, overrides=overrides)
    return loaded, f"{loaded.name}: {_words(loaded)}"


def _words(profile: Profile) -> str:
    """`light (docker, share 8), vm (libvirt, share 1)`."""
    if len(profile.workloads) == 1:
        (only,) = profile.workloads
        return f"{only.name} ({only.engine})"
    return ", ".join(f"{each.name} ({each.engine}, share {each.share:g})" for each in profile.workloads)
