"""`density compare`."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import click

from density.cli.console import SafeConsole
from density.cli.find import find_run
from density.cli.output import echo, form_of, put
from density.errors import UsageError
from density.report.compare.comparison import Comparison, compare
from density.report.compare.document import document
from density.report.compare.gates import Judged, judge, parse_gate
from density.report.compare.html import html
from density.report.compare.markdown import markdown
from density.report.compare.reading import read_groups
from density.report.compare.text import print_comparison

MISSED = 3
WIDTH = 120
"""Columns of text in a file, which has no terminal's width."""
FORMATS = ("text", "html", "markdown", "json")
SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json"}


EXAMPLES = "\b\n" + "\n".join(
    (
        "density compare 20261124-113739-730b latest",
        "density compare before1,before2,before3 after1,after2",
        "density compare main latest --fail-if 'capacity.slo -3%' --fail-if 'web.ready_seconds.p95 +50ms'",
    )
)
"""Marked as lines that click leaves as they are."""


@click.command("compare", epilog=EXAMPLES)
@click.argument("runs", nargs=-1, required=True, metavar="RUN[,RUN...] RUN[,RUN...]...")
@click.option("--fail-if", "gates", multiple=True, metavar="'METRIC CHANGE'", help="Exit code 3 past this; repeatable.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to write it [by the end of -o, or text].")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--runs-dir", type=click.Path(path_type=Path), help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].")
def command(
    *,
    runs: tuple[str, ...],
    gates: tuple[str, ...],
    form: str | None,
    as_json: bool,
    output: Path | None,
    runs_dir: Path | None,
) -> int:
    """Say whether runs differ from the first one, by how much, and whether that is more than noise.

    RUN is a directory, an id, or latest. Runs joined by commas are one group: several runs of the same kind, whose
    scatter shows what is noise.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other")
    wanted = [parse_gate(text) for text in gates]
    groups = read_groups([[find_run(run, runs_dir) for run in _members(group)] for group in runs])
    comparison = compare(groups[0], groups[1:])
    judged = judge(wanted, comparison)
    _write(comparison, judged, "json" if as_json else form or form_of(output, SUFFIXES), output)
    for each in judged:
        echo(f"{'failed' if each.fired else 'passed'}: {each.sentence}", err=True)
    return MISSED if any(each.fired for each in judged) else 0


def _members(group: str) -> list[str]:
    """The runs of a group; a directory may have a comma in its name."""
    members = [group] if Path(group).is_dir() else group.split(",")
    if not all(members):
        raise UsageError(f"a comparison needs a run before and after each comma, found {group}")
    return members


def _write(comparison: Comparison, judged: Sequence[Judged], form: str, output: Path | None) -> None:
    if output is None and form == "text":
        print_comparison(comparison, SafeConsole(highlight=False))
    else:
        put(_text(comparison, judged, form), output)


def _text(comparison: Comparison, judged: Sequence[Judged], form: str) -> str:
    match form:
        case "html":
            return html(comparison, judged)
        case "markdown":
            return markdown(comparison, judged)
        case "json":
            return json.dumps(document(comparison, judged), indent=2, allow_nan=False) + "\n"
    file = io.StringIO()
    print_comparison(comparison, SafeConsole(file=file, width=WIDTH, highlight=False))
    return file.getvalue()
