"""`density watch`."""

import shlex
import signal
from datetime import datetime
from pathlib import Path

import anyio
import click
from anyio.abc import TaskStatus
from rich.console import Console

from density.cli.console import SafeConsole
from density.cli.find import LATEST, find_run
from density.cli.output import echo
from density.controller.paths import RECORD
from density.controller.session import PROFILE
from density.errors import DensityError
from density.live import live_view
from density.live.follow import Followed
from density.metrics.current import bounds_of_run
from density.profile.load import load_profile
from density.profile.spec import Ramp
from density.report.result import result
from density.report.summary import print_summary
from density.state import RunState
from density.units import format_count, format_seconds


@click.command("watch")
@click.argument("run", default=LATEST, metavar="[RUN]")
@click.option(
    "--runs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where runs are kept [DENSITY_RUNS_DIR, or ./runs].",
)
def command(run: str, runs_dir: Path | None) -> None:
    """Show a run that is going on elsewhere, and its summary when it is over.

    RUN is a directory, an id, or latest, which is the default. Only the record is read, so the run does not notice;
    Ctrl-C ends the watching and nothing else.
    """
    anyio.run(_watch, find_run(run, runs_dir))


async def _watch(run_dir: Path) -> None:
    followed = Followed(run_dir / RECORD)
    console = SafeConsole(highlight=False)
    await followed.catch_up()
    if followed.is_over:
        _say(_ended(followed.state))
    elif not followed.is_dead() and await _left_early(followed, console, _ramp(run_dir)) and not followed.is_over:
        _say(f"the run goes on: density watch {run_dir} shows it again")
        return
    if not followed.is_over:
        raise DensityError(_cut_off(followed.state, run_dir))
    _summary(followed.state, console, run_dir)


async def _left_early(followed: Followed, console: Console, ramp: Ramp | None) -> bool:
    """Show the run until it is over or dead (False), or the person has seen enough (True)."""
    async with anyio.create_task_group() as group:
        watching = anyio.CancelScope()
        await group.start(_leave_on_signal, watching)
        async with live_view(followed.state, console, ramp=ramp) as view:
            with watching:
                await followed.follow(view.handle)
        group.cancel_scope.cancel()
    return watching.cancel_called


async def _leave_on_signal(
    watching: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            watching.cancel()


def _ramp(run_dir: Path) -> Ramp | None:
    """Of the profile that the run keeps beside its record; a run can be watched without it as well."""
    try:
        return load_profile(str(run_dir / PROFILE)).ramp
    except DensityError:
        return None


def _ended(state: RunState) -> str:
    at = datetime.fromtimestamp(state.wall + state.now - state.started_at).astimezone()
    return f"run {state.run_id} ended on {at:%Y-%m-%d at %H:%M}"


def _cut_off(state: RunState, run_dir: Path) -> str:
    when = "before it began"
    if state.run_id:
        had = f"{format_count(state.alive)} ready in wave {state.wave}" if state.wave else "nothing launched"
        when = f"after {format_seconds(state.now - state.started_at)}, with {had}"
    return (
        f"run {run_dir.name} was cut off {when}: its process is gone; "
        f"`density clean {shlex.quote(run_dir.name)}` removes what is left of it"
    )


def _summary(state: RunState, console: Console, run_dir: Path) -> None:
    if state.instances:
        print_summary(result(state, bounds_of_run(state)), console, run_dir=str(run_dir))
    else:
        reason = state.outcome.reason if state.outcome else "it gave no reason"
        _say(f"it launched nothing: {reason}")


def _say(line: str) -> None:
    echo(line)
