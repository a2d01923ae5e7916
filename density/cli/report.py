"""`density report`."""

from collections.abc import Mapping
from pathlib import Path

import click

from density.cli.find import LATEST, find_run
from density.cli.output import STDOUT, echo, form_of, put
from density.errors import UsageError
from density.report.csv import csv_files
from density.report.formats import ONE_FILE
from density.report.recorded import Recorded, read_run

CSV = "csv"
_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json", ".xml": "junit", ".csv": CSV}


@click.command("report")
@click.argument("run", default=LATEST, metavar="[RUN]")
@click.option(
    "--format", "form", type=click.Choice([*ONE_FILE, CSV]), help="How to write it [by the end of -o, or html]."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="PATH",
    help="A file, or - for stdout; of csv a directory [the run's own directory].",
)
@click.option(
    "--charts",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write every chart as SVG and PNG there too.",
)
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].",
)
def command(
    run: str, *, form: str | None, as_json: bool, output: Path | None, charts: Path | None, runs_dir: Path | None
) -> None:
    """Write what a run found as a page to send, or for programs.

    RUN is a directory, an id, or latest, which is the default. The paths of what was written are printed.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other")
    kind = "json" if as_json else form or form_of(output, _SUFFIXES, otherwise="html")
    if kind == CSV and (form is None or output == STDOUT):
        raise UsageError("csv is three files, so it goes into a directory: --format csv -o DIR")
    run_dir = find_run(run, runs_dir)
    recorded = read_run(run_dir)
    if kind == CSV:
        _write(output or run_dir, csv_files(recorded))
    else:
        name, make = ONE_FILE[kind]
        path = output or run_dir / name
        put(make(recorded), path)
        if path != STDOUT:
            _tell(path)
    if charts is not None:
        _export(charts, recorded, quiet=output == STDOUT)


def _export(directory: Path, recorded: Recorded, *, quiet: bool) -> None:
    from density.report.charts import export_charts  # noqa: PLC0415 — matplotlib takes a second, text needs none

    _write(directory, dict(export_charts(recorded)), quiet=quiet)


def _write(directory: Path, files: Mapping[str, str | bytes], *, quiet: bool = False) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{directory} cannot be made: {error.strerror}") from error
    for name, content in files.items():
        put(content, directory / name)
        _tell(directory / name, quiet=quiet)


def _tell(path: Path, *, quiet: bool = False) -> None:
    echo(str(path), err=quiet)
