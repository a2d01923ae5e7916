"""`density clean`."""

from pathlib import Path

import anyio
import click

from density.cli.output import put
from density.cli.runs import is_run
from density.controller.clean import CleanReport, Part, clean, places_of
from density.controller.intent import declared, intent_path
from density.controller.paths import known_runs, runs_dir, runtime_base
from density.errors import EngineUnavailable, UsageError
from density.profile.spec import Endpoints
from density.units import format_some

LEFT_BEHIND = 4
UNAVAILABLE = EngineUnavailable.exit_code


@click.command("clean")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "everything", is_flag=True, help="Also what belongs to runs that are alive.")
@click.option("--docker", default="", metavar="URL", help="The Docker engine, if not the default one.")
@click.option("--libvirt", default="", metavar="URI", help="The libvirt daemon, if not the default one.")
def command(run: str | None, *, everything: bool, docker: str, libvirt: str) -> int:
    """Remove what a run left behind: containers, VMs, processes, slices, files.

    Without RUN, a run's id or directory, that of every run that is not alive. Only what is known to be density's is
    touched, and results are kept. Exit code 4: something is left; 5: an engine that was named does not answer.
    """
    where = places_of(Endpoints(docker=docker, libvirt=libvirt))
    named = {name for name, asked in (("docker", docker), ("libvirt", libvirt)) if asked}
    run_id = Path(run).name if run else None
    is_known = run is None or _is_known(run)

    async def work() -> int:
        report = await clean(run_id, everything=everything, where=where)
        skipped = {part.name for part in report.parts if part.unavailable}
        found = any(part.removed or part.left for part in report.parts)
        lines = [line for part in report.parts for line in _lines(part)]
        lines += _kept(report)
        if not found and is_known:
            lines.append("elsewhere nothing was left behind" if skipped else "nothing to clean")
        put("".join(f"{line}\n" for line in lines), None)
        if not found and not is_known and not skipped & named:
            raise UsageError(f"there is no run {run}: no directory of it, and nothing that it left behind; "
                             "`density runs` lists those that are there")  # fmt: skip
        if report.left:
            return LEFT_BEHIND
        return UNAVAILABLE if skipped & named else 0

    return anyio.run(work)


def _is_known(run: str) -> bool:
    """Whether a run has a directory, of its results or while it lives; one may have left something behind without."""
    name = Path(run).name
    return is_run(Path(run)) or (runs_dir() / name).is_dir() or name in {*known_runs(runtime_base()), *declared()}


def _kept(report: CleanReport) -> list[str]:
    """What was not touched, and why: a line for each run."""
    removes = "`density clean {0}` removes it all the same"
    lines = [f"kept, as it is alive: run {name} ({removes.format(name)})" for name in report.spared]
    if report.holder:
        lines += [
            f"kept, as it may be alive while {report.holder.words}, is going on: run {name} ({removes.format(name)})"
            for name in report.unsure
        ]
    lines += [
        f"kept, as only names say that it was a run of density's: {name} ({removes.format(name)})"
        for name in report.unproven
    ]
    return lines + [
        f"run {name} may have more, where nobody answered or a live run has a name like it:"
        " `density clean` looks again; if that engine is gone for good,"
        f" remove {intent_path(name)}"
        for name in report.open
    ]


def _lines(part: Part) -> list[str]:
    lines = [f"not looked at: {part.unavailable}"] if part.unavailable else []
    for verb, names in (("removed", part.removed), ("LEFT", part.left)):
        if names:
            lines.append(f"{part.name}: {verb} {len(names)}: {format_some(names)}")
    if part.problem:
        lines.append(f"{part.name}: {part.problem}")
    return lines
