"""`density plan`."""

import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from density.capacity.plan.basis import basis
from density.capacity.plan.demand import add_up, demand_of_csv, demand_of_tables, parse_demand
from density.capacity.plan.hosts import HostSpec, check_together, parse_host, parse_hosts
from density.capacity.plan.limits import MEASURED, host_type
from density.capacity.plan.plan import Asked, Plan, plan
from density.capacity.plan.policy import Policy, parse_overcommit
from density.cli.console import SafeConsole
from density.cli.find import LATEST, find_run
from density.cli.output import form_of, put
from density.documents import read_document
from density.errors import UsageError
from density.profile.toml import parse_toml
from density.report.plan.document import document
from density.report.plan.markdown import markdown
from density.report.plan.reading import read_measured
from density.report.plan.text import print_plan
from density.units import parse_seconds, parse_share

FORMATS = ("text", "markdown", "json")
WIDTH = 120
"""Columns of text in a file, which has no terminal's width."""
EXAMPLES = "\b\n" + "\n".join(
    (
        "density plan --demand web=500,db=40 --host cpus=64,memory=512GiB --spare 1",
        "density plan latest --demand fleet.csv --hosts types.toml",
        "density plan --demand web=9000 --host old:cpus=16,memory=64GiB,price=0,count=8 \\",
        "             --host new:cpus=64,memory=512GiB,price=900",
    )
)
"""Marked as lines that click leaves as they are."""
SUFFIXES = {".md": "markdown", ".json": "json"}


@click.command("plan", epilog=EXAMPLES)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--demand", "demands", multiple=True, required=True, metavar="WORKLOAD=COUNT,...|FILE",
              help="How many of each workload; or a file that ends in .toml or .csv; repeatable.")  # fmt: skip
@click.option("--host", "hosts", multiple=True, metavar="[NAME:]KEY=VALUE,...",
              help="A host type on offer; repeatable [like the measured host].")  # fmt: skip
@click.option("--hosts", "hosts_files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="Host types from a TOML file, a table each; repeatable.")  # fmt: skip
@click.option("--spare", type=click.IntRange(min=0, max=9), default=0, metavar="N",
              help="The demand still fits when any N hosts are lost [0].")  # fmt: skip
@click.option("--cpu-busy", metavar="SHARE", help="How busy CPUs may be [the run's objective, or 80%].")
@click.option("--overcommit", multiple=True, metavar="cpus=N,memory=N",
              help="Bound what instances are given: N times what a host has; repeatable [no bound].")  # fmt: skip
@click.option("--time-limit", default="5s", show_default=True, metavar="SECONDS", help="For the search for hosts.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to write it [by the end of -o, or text].")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--runs-dir", type=click.Path(path_type=Path), help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].")
def command(  # noqa: PLR0913 — one parameter an option
    *,
    runs: tuple[str, ...],
    demands: tuple[str, ...],
    hosts: tuple[str, ...],
    hosts_files: tuple[Path, ...],
    spare: int,
    cpu_busy: str | None,
    overcommit: tuple[str, ...],
    time_limit: str,
    form: str | None,
    as_json: bool,
    output: Path | None,
    runs_dir: Path | None,
) -> int:
    """Say how many hosts a demand needs, what fills them, and what to raise first.

    Footprints are those that RUNs measured: directories, ids, or latest, which is the default. A workload that several
    runs measured is taken from the one where more of it ran.

    KEY is cpus, memory, disk, inodes, pid_max, threads_max, file_max, instances, price, count (how many there are), or
    the id of a ceiling. What is not given is as on the measured host. Exit code 3: no hosts on offer hold the demand.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other")
    policy = _policy(cpu_busy, overcommit)
    seconds = _seconds(time_limit)
    demand = add_up(_demand(text) for text in demands)
    specs = _specs(hosts, hosts_files)
    known = basis(read_measured([find_run(run, runs_dir) for run in runs or (LATEST,)]), list(demand))
    types = tuple(host_type(spec, known, policy) for spec in specs)
    with _stdout_for_the_document():
        found = plan(Asked(demand, types, policy, spare, seconds), known)
    _write(found, "json" if as_json else form or form_of(output, SUFFIXES), output)
    return 0


def _policy(cpu_busy: str | None, overcommit: Sequence[str]) -> Policy:
    factors = parse_overcommit(overcommit)
    busy = None
    if cpu_busy is not None:
        try:
            busy = parse_share(cpu_busy)
        except ValueError as error:
            raise UsageError(f"--cpu-busy: {error}") from error
        if not busy:
            raise UsageError(f"--cpu-busy: found {cpu_busy!r}; allowed is a share above 0, such as 80%")
    return Policy(cpu_busy=busy, overcommit_cpus=factors.get("cpus"), overcommit_memory=factors.get("memory"))


def _seconds(text: str) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"--time-limit: {error}") from error


def _demand(text: str) -> dict[str, int]:
    """A file by its ending, else counts."""
    match Path(text).suffix.lower():
        case ".toml":
            return demand_of_tables(_tables(Path(text)), text)
        case ".csv":
            return demand_of_csv(_read(Path(text)), text)
        case _:
            return parse_demand(text)


def _specs(hosts: Sequence[str], files: Sequence[Path]) -> list[HostSpec]:
    names = [f"host-{number}" if len(hosts) > 1 else "host" for number in range(1, len(hosts) + 1)]
    specs = [parse_host(text, name=name) for text, name in zip(hosts, names, strict=True)]
    specs += [spec for file in files for spec in parse_hosts(_tables(file), str(file))]
    check_together(specs)
    return specs or [MEASURED]


def _tables(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(_read(path))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _read(path: Path) -> str:
    try:
        return read_document(path, pipes=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


@contextmanager
def _stdout_for_the_document() -> Iterator[None]:
    """The solver's library sometimes prints a line of its own to the process's standard output."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _write(found: Plan, form: str, output: Path | None) -> None:
    if output is None and form == "text":
        print_plan(found, SafeConsole(highlight=False))
    else:
        put(_text(found, form), output)


def _text(found: Plan, form: str) -> str:
    match form:
        case "markdown":
            return markdown(found)
        case "json":
            return json.dumps(document(found), indent=2, allow_nan=False) + "\n"
    file = io.StringIO()
    print_plan(found, SafeConsole(file=file, width=WIDTH, highlight=False))
    return file.getvalue()
