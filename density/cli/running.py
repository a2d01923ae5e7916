"""What `density run` does once its profile is loaded: watch it, run it, report it."""

import json
import signal
import time
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console

from density.cli.console import SafeConsole
from density.cli.errors import INTERRUPTED, explain
from density.cli.missed import missed
from density.cli.output import echo, keep
from density.cli.streams import was_lost
from density.controller.bus import Sink
from density.controller.host_lock import only_run
from density.controller.paths import runs_dir as default_runs_dir
from density.controller.session import LEFT_BEHIND, RESULT, Ended, Session, new_run_id
from density.errors import Unwritten, UsageError, in_short
from density.live import live_view
from density.log import is_shown
from density.metrics.address import parse_address
from density.metrics.server import MetricsServer
from density.metrics.tls import tls_context
from density.places import hand_over
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.report.formats import write_page
from density.report.result import result
from density.report.summary import print_summary
from density.state import RunState
from density.threads import in_thread
from density.units import parse_seconds

MISSED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of `density run` that are not about the profile."""

    runs_dir: Path | None
    metrics: str
    metrics_cert: Path | None
    metrics_key: Path | None
    per_instance: bool
    linger: str
    as_json: bool
    quiet: bool


def run_and_report(profile: Profile, wanted: Wanted) -> int:
    """Run, write `result.json`, print the summary or the document; the exit code.

    Raises:
        UsageError: an option cannot be, or another run is going on on this host.
    """
    try:
        linger = parse_seconds(wanted.linger)
    except ValueError as error:
        raise UsageError(f"--linger: {error}") from error
    run_id = new_run_id(time.time())
    run_dir = (wanted.runs_dir or default_runs_dir()) / run_id
    with nullcontext() if profile.engines == ("simulated",) else only_run(run_id, profile=profile.name):
        try:
            return anyio.run(_run_and_report, profile, wanted, run_id, run_dir, linger)
        finally:
            with suppress(OSError):  # it may not have been made
                hand_over(run_dir)


async def _run_and_report(profile: Profile, wanted: Wanted, run_id: str, run_dir: Path, linger: float) -> int:
    console = SafeConsole(stderr=True, highlight=False)
    state = RunState()
    async with AsyncExitStack() as stack:
        sinks: list[Sink] = []
        tls = tls_context(wanted.metrics_cert, wanted.metrics_key)
        if (address := parse_address(wanted.metrics)) is not None:
            server = MetricsServer(state, address, tls=tls, per_instance=wanted.per_instance)
            sinks.append(await stack.enter_async_context(server))
            echo(f"metrics at {server.url}", err=True)
        ended = await _watched(profile, state, sinks, run_id=run_id, run_dir=run_dir, quiet=wanted.quiet)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # The run is over; a signal that comes too late to end it does not take its result.
            document = result(state, bounds_of(profile), recorded=ended.recorded)
            written = keep(run_dir / RESULT, _text(document) + "\n")
            summed_up = bool(state.instances) or ended.problem is None
            # What is in no file goes to standard output, asked for or not.
            _report(document, run_dir, console, as_json=wanted.as_json or not written, summed_up=summed_up)
            page = await in_thread(_write_page, run_dir)
            if page and (not wanted.as_json or was_lost()):
                echo(f"{'report':<11} {page}", err=True)
        if sinks and linger and not ended.interrupted:
            echo(f"metrics stay for {linger:g} s (Ctrl-C ends it)", err=True)
            await _linger(linger)
    return _exit_code(ended, document, written=written)


async def _linger(seconds: float) -> None:
    """Wait, or until a signal says that it is enough: the run is over, so that is no interruption of it."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals, anyio.move_on_after(seconds):
        async for _ in signals:
            return


async def _watched(
    profile: Profile, state: RunState, sinks: list[Sink], *, run_id: str, run_dir: Path, quiet: bool
) -> Ended:
    if quiet or is_shown():
        session = Session(run_id=run_id, run_dir=run_dir, told=lambda line: echo(line, err=True))
        return await session.run(profile, state, sinks)
    async with live_view(state, SafeConsole(stderr=True, highlight=False), ramp=profile.ramp) as view:
        session = Session(run_id=run_id, run_dir=run_dir, told=view.tell)
        return await session.run(profile, state, [*sinks, view])


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, allow_nan=False)


def _report(document: dict[str, Any], run_dir: Path, console: Console, *, as_json: bool, summed_up: bool) -> None:
    if as_json:
        echo(_text(document))
    elif summed_up:
        print_summary(document, SafeConsole(highlight=False) if console.is_terminal else console, run_dir=str(run_dir))


def _write_page(run_dir: Path) -> Path | None:
    try:
        return write_page(run_dir)
    except Exception as error:  # noqa: BLE001 — the run is over and its result is written; a page can be made again
        echo(f"the report was not written: {in_short(error)}; density report {run_dir} tries again", err=True)
        return None


def _exit_code(ended: Ended, document: dict[str, Any], *, written: bool) -> int:
    """What ended the run is said whatever the code; a disk that took too little comes after all that is worse."""
    code = 0 if written else Unwritten.exit_code
    if ended.problem is not None:
        found, sentences = explain(ended.problem, with_traceback=False)
        for sentence in sentences:
            echo(f"error: {sentence}", err=True)
        if found != Unwritten.exit_code:
            return found
        code = found
    torn = ended.state.torn_down
    if torn is None or torn.left:
        return LEFT_BEHIND
    if ended.interrupted:
        return INTERRUPTED
    sentences = list(missed(document))
    for sentence in sentences:
        echo(f"failed: {sentence}", err=True)
    return MISSED if sentences else code
