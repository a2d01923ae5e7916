"""`density run`."""

from collections.abc import Sequence
from pathlib import Path

import click

from density.cli.dry_run import show_plan
from density.cli.running import Wanted, run_and_report
from density.controller.paths import runs_dir as default_runs_dir
from density.errors import UsageError
from density.metrics.instances import LIMIT
from density.profile.load import load_profile
from density.profile.scalar import MOST_COUNT
from density.profile.spec import Ramp

LEFT_BEHIND = 4
INTERRUPTED = 130
LONGEST = 30
"""Digits of a number that are read and shown."""
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("run")
@click.argument("profile")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the profile; repeatable.")
@click.option(
    "--until",
    type=click.Choice(["safe", "failure", "forecast"]),
    help="When to stop growing: safe at a reserve or an objective, failure when launches fail, forecast once the "
    "forecast is sure [the profile's ramp.until].",
)
@click.option(
    "--max",
    "most",
    metavar="N",
    help=f"Never more than N instances [the profile's ramp.max; {Ramp().max_instances:,} where it has none].",
)
@click.option(
    "--require",
    "required",
    multiple=True,
    metavar="NAME=N",
    help="Capacity to reach (slo, hard, recommended), else exit code 3.",
)
@click.option("--runs-dir", type=click.Path(path_type=Path, file_okay=False),
              help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].")  # fmt: skip
@click.option("--metrics", default="127.0.0.1:9095", show_default=True, metavar="HOST:PORT|off", help="For Prometheus.")
@click.option("--metrics-cert", type=_FILE, help="Serve metrics by HTTPS with this certificate (PEM).")
@click.option("--metrics-key", type=_FILE, help="The certificate's key, where it is not in the same file (PEM).")
@click.option("--per-instance", is_flag=True, help=f"Metrics of the first {LIMIT:,} instances, 3 series each, too.")
@click.option("--linger", default="0s", show_default=True, metavar="DURATION",
              help="Go on serving metrics for this long afterwards, such as 5s or 10m.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan, the limits and a forecast; start nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No live view.")
def command(  # noqa: PLR0913 — one parameter an option
    *,
    profile: str,
    overrides: tuple[str, ...],
    until: str | None,
    most: str | None,
    required: tuple[str, ...],
    runs_dir: Path | None,
    metrics: str,
    metrics_cert: Path | None,
    metrics_key: Path | None,
    per_instance: bool,
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
    shortcuts += [f"require.{name}={count}" for name, count in _required(required).items()]
    loaded = load_profile(profile, overrides=[*overrides, *shortcuts])
    if dry_run:
        return show_plan(loaded, runs_dir=runs_dir or default_runs_dir(), as_json=as_json)
    wanted = Wanted(
        runs_dir=runs_dir,
        metrics=metrics,
        metrics_cert=metrics_cert,
        metrics_key=metrics_key,
        per_instance=per_instance,
        linger=linger,
        as_json=as_json,
        quiet=quiet,
    )
    return run_and_report(loaded, wanted)


def _required(texts: Sequence[str]) -> dict[str, str]:
    """Capacities to reach, by their names."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, count = text.partition("=")
        if not (name and equals and count):
            raise UsageError(
                f"--require {text!r} is not NAME=N, such as slo=500; the names are hard, slo and recommended"
            )
        if name in found:
            raise UsageError(f"--require has {name} twice, {found[name]} and {count}; allowed is one number of each")
        if count.isdecimal() and int(count[:LONGEST]) > MOST_COUNT:
            raise UsageError(f"--require {name}: found {_shown(count)}; the most allowed is {MOST_COUNT:,}")
        found[name] = count
    return found


def _shown(count: str) -> str:
    return count if len(count) <= LONGEST else f"{count[:LONGEST]}…"
