"""`density export`."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from density.cli.find import find_run
from density.cli.output import echo, unwritten
from density.controller.paths import RECORD
from density.events import Event
from density.metrics.export import Exported, export
from density.record import read_events
from density.units import format_count


@click.command("export")
@click.argument("run")
@click.option(
    "--format", "_format", type=click.Choice(["openmetrics"]), default="openmetrics", show_default=True, help="As what."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="A file, not stdout."
)
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].",
)
def command(run: str, _format: str, output: Path | None, runs_dir: Path | None) -> None:
    """Write a run's metrics with their times, for Prometheus to take in.

    RUN is a directory, an id, or latest. What is written is what a Prometheus that scraped the run with every sample of
    the host would have got; docs/metrics.md says how to bring it into one.
    """
    events = read_events(find_run(run, runs_dir) / RECORD)
    if output is not None:
        _say(_to_file(output, events))
        return
    _say(export(events, partial(echo, nl=False)))


def _to_file(output: Path, events: Iterator[Event]) -> Exported:
    try:
        with output.open("w", encoding="utf-8") as file:
            return export(events, file.write)
    except OSError as error:
        raise unwritten(output, error) from error


def _say(exported: Exported) -> None:
    first, last = (datetime.fromtimestamp(wall).astimezone() for wall in (exported.first, exported.last))
    moments, series = format_count(exported.moments), format_count(exported.series)
    echo(f"{moments} moments of {series} series, from {first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S %Z}", err=True)
