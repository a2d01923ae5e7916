"""`density clean`."""

from pathlib import Path

import anyio
import click

from density.controller.clean import Part, clean
from density.profile.spec import Endpoints
from density.units import format_some

LEFT_BEHIND = 4


@click.command("clean")
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "everything", is_flag=True, help="Also what belongs to runs that are alive.")
@click.option("--docker", default="", metavar="URL", help="The Docker engine, if not the default one.")
@click.option("--libvirt", default="", metavar="URI", help="The libvirt daemon, if not the default one.")
def command(run: str | None, *, everything: bool, docker: str, libvirt: str) -> int:
    """Remove what a run left behind: containers, VMs, processes, slices, files.

    Without RUN, a run's id or directory, that of every run that is not alive. Only what carries density's label is
    touched, and results are kept. Exit code 4: something is left.
    """
    endpoints = Endpoints(docker=docker, libvirt=libvirt)
    run_id = Path(run).name if run else None

    async def work() -> int:
        report = await clean(run_id, everything=everything, endpoints=endpoints)
        lines = [line for part in report.parts for line in _lines(part)]
        lines += [
            f"kept, as it is alive: run {name} (`density clean {name}` removes it all the same)"
            for name in report.spared
        ]
        if not any(part.removed or part.left for part in report.parts):
            lines.append("nothing to clean")
        click.echo("\n".join(lines))
        return LEFT_BEHIND if report.left else 0

    return anyio.run(work)


def _lines(part: Part) -> list[str]:
    lines = [f"not looked at: {part.unavailable}"] if part.unavailable else []
    for verb, names in (("removed", part.removed), ("LEFT", part.left)):
        if names:
            lines.append(f"{part.name}: {verb} {len(names)}: {format_some(names)}")
    if part.problem:
        lines.append(f"{part.name}: {part.problem}")
    return lines
