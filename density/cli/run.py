"""`density run`."""

from pathlib import Path

import click

from density.cli.dry_run import show_plan
from density.cli.running import Wanted, run_and_report
from density.profile.load import load_profile

LEFT_BEHIND = 4
INTERRUPTED = 130


@click.command("run")
@click.argument("profile")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the profile; repeatable.")
@click.option("--until", type=click.Choice(["safe", "failure", "forecast"]), help="When to stop growing.")
@click.option("--max", "most", metavar="N", help="Never more than N instances.")
@click.option("--runs-dir", type=click.Path(path_type=Path, file_okay=False), help="Where runs are kept.")
@click.option("--metrics", default="127.0.0.1:9095", show_default=True, metavar="HOST:PORT|off", help="For Prometheus.")
@click.option("--linger", default="0s", metavar="SECONDS", help="Go on serving metrics for this long afterwards.")
@click.option("--dry-run", is_flag=True, help="Print the plan, the limits and a forecast; start nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No live view.")
def command(  # noqa: PLR0913 — one parameter an option
    *,
    profile: str,
    overrides: tuple[str, ...],
    until: str | None,
    most: str | None,
    runs_dir: Path | None,
    metrics: str,
    linger: str,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Fill this host with PROFILE's instances until something gives, and say what.

    PROFILE is a file, or the name of one that ships with density (see density profiles).
    """
    shortcuts = [f"ramp.until={until}"] if until else []
    shortcuts += [f"ramp.max={most}"] if most else []
    loaded = load_profile(profile, overrides=[*overrides, *shortcuts])
    if dry_run:
        return show_plan(loaded, as_json=as_json)
    wanted = Wanted(runs_dir=runs_dir, metrics=metrics, linger=linger, as_json=as_json, quiet=quiet)
    return run_and_report(loaded, wanted)
