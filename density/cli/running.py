"""What `density run` does once its profile is loaded: watch it, run it, report it."""

import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import click
from rich.console import Console

from density.cli.errors import INTERRUPTED, Unread, explain
from density.controller.bus import Sink
from density.controller.paths import runs_dir as default_runs_dir
from density.controller.session import LEFT_BEHIND, Ended, Session, new_run_id
from density.errors import UsageError
from density.live import live_view
from density.metrics.address import parse_address
from density.metrics.server import MetricsServer
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.report.result import result
from density.report.summary import print_summary
from density.state import RunState
from density.units import parse_seconds

RESULT = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of `density run` that are not about the profile."""

    runs_dir: Path | None
    metrics: str
    linger: str
    as_json: bool
    quiet: bool


def run_and_report(profile: Profile, wanted: Wanted) -> int:
    """Run, write `result.json`, print the summary or the document; the exit code."""
    try:
        linger = parse_seconds(wanted.linger)
    except ValueError as error:
        raise UsageError(f"--linger: {error}") from error
    run_id = new_run_id(time.time())
    run_dir = (wanted.runs_dir or default_runs_dir()) / run_id
    return anyio.run(_run_and_report, profile, wanted, run_id, run_dir, linger)


async def _run_and_report(profile: Profile, wanted: Wanted, run_id: str, run_dir: Path, linger: float) -> int:
    console = Console(stderr=True, highlight=False)
    state = RunState()
    async with AsyncExitStack() as stack:
        sinks: list[Sink] = []
        if (address := parse_address(wanted.metrics)) is not None:
            server = await stack.enter_async_context(MetricsServer(state, address))
            sinks.append(server)
            click.echo(f"metrics at {server.url}", err=True)
        ended = await _watched(profile, state, sinks, run_id=run_id, run_dir=run_dir, quiet=wanted.quiet)
        document = result(state, bounds_of(profile))
        _report(document, run_dir, console, as_json=wanted.as_json, summed_up=bool(state.instances))
        if sinks and linger and not ended.interrupted:
            click.echo(f"metrics stay for {linger:g} s (Ctrl-C ends it)", err=True)
            await anyio.sleep(linger)
    return _exit_code(ended)


async def _watched(
    profile: Profile, state: RunState, sinks: list[Sink], *, run_id: str, run_dir: Path, quiet: bool
) -> Ended:
    if quiet:
        session = Session(run_id=run_id, run_dir=run_dir, told=lambda line: click.echo(line, err=True))
        return await session.run(profile, state, sinks)
    async with live_view(state, Console(stderr=True, highlight=False)) as view:
        session = Session(run_id=run_id, run_dir=run_dir, told=view.tell)
        return await session.run(profile, state, [*sinks, view])


def _report(document: dict[str, Any], run_dir: Path, console: Console, *, as_json: bool, summed_up: bool) -> None:
    text = json.dumps(document, indent=2, allow_nan=False)
    (run_dir / RESULT).write_text(text + "\n", encoding="utf-8")
    with Unread():
        if as_json:
            click.echo(text)
        elif summed_up:
            print_summary(document, Console(highlight=False) if console.is_terminal else console, run_dir=str(run_dir))


def _exit_code(ended: Ended) -> int:
    if ended.problem is not None:
        code, sentences = explain(ended.problem, with_traceback=False)
        with Unread():
            for sentence in sentences:
                click.echo(f"error: {sentence}", err=True)
        return code
    torn = ended.state.torn_down
    if torn is None or torn.left:
        return LEFT_BEHIND
    return INTERRUPTED if ended.interrupted else 0
