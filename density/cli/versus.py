"""`density versus`."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import click

from density.cli.errors import INTERRUPTED
from density.cli.output import echo, keep
from density.controller.host_lock import only_run
from density.controller.paths import runs_dir as default_runs_dir
from density.controller.session import LEFT_BEHIND, new_run_id
from density.controller.versus.measure import ROWS, Comparison, compare
from density.errors import Unwritten, UsageError
from density.places import hand_over
from density.profile.load import load_profile
from density.profile.spec import Profile
from density.report.versus.document import document
from density.report.versus.markdown import markdown
from density.report.versus.remarks import remarks
from density.report.versus.table import make_rows
from density.report.versus.text import text

DOCUMENT = "versus.json"
PAGE = "versus.md"


@click.command("versus")
@click.argument("profile", default="versus")
@click.option("--row", "rows", multiple=True, type=click.Choice(ROWS), help="This row alone; repeatable.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key of the profile; repeatable.")
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Markdown on stdout, for a README.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on the way.")
def command(  # noqa: PLR0913 — one parameter an option
    *,
    profile: str,
    rows: tuple[str, ...],
    overrides: tuple[str, ...],
    runs_dir: Path | None,
    as_json: bool,
    as_markdown: bool,
    quiet: bool,
) -> int:
    """Measure process, container and VM side by side, and what an article claims of them.

    PROFILE has a workload for each column (default: the shipped profile versus). Each is measured alone, one after the
    other; nothing of it stays but versus.json, versus.md and the records of the ramps.
    """
    if as_json and as_markdown:
        raise UsageError("--json and --markdown exclude each other")
    loaded = load_profile(profile, overrides=list(overrides))
    began, run_id = time.monotonic(), new_run_id(time.time())
    run_dir = (runs_dir or default_runs_dir()) / run_id
    with only_run(run_id, profile=loaded.name):
        comparison = anyio.run(_compare, loaded, run_id, run_dir, rows or ROWS, quiet)
    made = make_rows(comparison.figures, comparison.subjects, comparison.rows)
    told = remarks(comparison)
    found = document(comparison, made, profile=loaded.name, seconds=time.monotonic() - began)
    page = markdown(made, comparison.subjects, told)
    written = _keep(run_dir, found, page)
    with suppress(OSError):  # where files cannot be given away, root keeps them
        hand_over(run_dir)
    if as_json or not written:  # what is in no file goes to standard output, asked for or not
        echo(_text(found), nl=False)
    else:
        echo(page if as_markdown else text(made, comparison.subjects, told))
        echo(f"\nkept in {run_dir}", err=as_markdown)
    return _exit_code(comparison) or (0 if written else Unwritten.exit_code)


async def _compare(profile: Profile, run_id: str, run_dir: Path, rows: tuple[str, ...], quiet: bool) -> Comparison:  # noqa: FBT001 — anyio.run passes by position
    began = anyio.current_time()

    def say(line: str) -> None:
        if not quiet:
            echo(f"{anyio.current_time() - began:5.0f} s  {line}", err=True)

    return await compare(profile, run_id=run_id, run_dir=run_dir, say=say, rows=rows)


def _keep(run_dir: Path, found: dict[str, Any], page: str) -> bool:
    """Whether both files of it were written."""
    return all([keep(run_dir / DOCUMENT, _text(found)), keep(run_dir / PAGE, page)])


def _text(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _exit_code(comparison: Comparison) -> int:
    if comparison.left:
        return LEFT_BEHIND
    return INTERRUPTED if comparison.interrupted else 0
