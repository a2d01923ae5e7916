"""A run as a session of this process: its directory, its lock, its signals, its record."""

import os
import resource
import secrets
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.abc

from density.controller.begin import begin
from density.controller.bus import Bus, Sink
from density.controller.equip import equip, with_reserve
from density.controller.guard import Guard, guarded
from density.controller.logging import EventLog
from density.controller.paths import RECORD, make_run_dir
from density.controller.run import Controller, as_problem
from density.controller.teardown import Torn, conclude, given_up
from density.controller.wall_clock import WallClock
from density.errors import DensityError, Unwritten, UsageError, too_few_files
from density.events import Stopped
from density.log import NAME as LOG
from density.log import LogFile
from density.payload.background import background
from density.profile.load import profile_to_toml
from density.profile.spec import Profile
from density.record.ballast import Ballast
from density.record.writer import Extent, RecordWriter
from density.state import RunState
from density.threads import in_thread
from density.units import format_seconds

RESULT = "result.json"
LEFT_BEHIND = 4
LEAVE_SECONDS = 5.0
SAME_SECONDS = 1.0
"""Signals this soon after the first are the same one: `timeout`, `sudo` and terminals send theirs more than once."""
PROFILE = "profile.toml"
LEAST_FILES = 256
"""density by itself holds about 80, and 64 are kept in reserve; the rest is for instances."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session ended.

    Attributes:
        problem: what ended the run with outcome `error`; None where nothing did.
        interrupted: whether the person asked for the end.
        recorded: how much of the run its record holds.
    """

    state: RunState
    problem: DensityError | None
    interrupted: bool
    recorded: Extent


def new_run_id(now: float) -> str:
    """`20261124-081500-3fa9`: UTC date, time, and four random digits."""
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Where a run keeps its things, and how it speaks to the person.

    Attributes:
        run_dir: made by `run`; takes the record and the profile as used.
        told: takes one line for the person when a signal was understood.
    """

    run_id: str
    run_dir: Path
    told: Callable[[str], None]

    async def run(self, profile: Profile, state: RunState, sinks: Sequence[Sink]) -> Ended:
        """Run a profile on this host.

        Args:
            profile: what to run.
            state: empty; takes every event before the sinks do.
            sinks: hear every event beside the record.

        Raises:
            UsageError: the run's directory or lock cannot be made.
            TooLittle: density may have too few files open.
        """
        profile = with_reserve(profile)
        _allow_many_files()
        later = f"what is left is removed in {format_seconds(profile.lease_seconds)}"
        ends = _Ends(self.told, left=f"left at once; {later}, or now by: density clean {self.run_id}")
        failure: DensityError | None = None
        async with anyio.create_task_group() as group:
            await group.start(ends.listen)
            try:
                await in_thread(self._make_run_dir, profile)
                problem, recorded = await self._recorded(profile, state, sinks, ends)
            except DensityError as error:
                failure = error  # raised outside of the group, which would wrap it
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return Ended(state, problem, interrupted=ends.count > 0, recorded=recorded)

    async def _recorded(
        self, profile: Profile, state: RunState, sinks: Sequence[Sink], ends: "_Ends"
    ) -> tuple[DensityError | None, Extent]:
        """With a log, a lock and a record: what ended the run with outcome `error`, and how much of it is recorded."""
        with LogFile(self.run_dir / LOG) as log_file, Ballast(self.run_dir) as room:
            async with guarded(profile, run_id=self.run_id, run_dir=self.run_dir) as guard:
                record = RecordWriter(
                    self.run_dir / RECORD,
                    on_problem=lambda problem: bus.warn(problem),  # noqa: PLW0108 — the bus is made after it
                    on_refused=lambda reason: ends.fail(Unwritten(reason)),
                    on_stopped=lambda reason: ends.fail(DensityError(f"the record of the run stopped: {reason}")),
                )
                bus = Bus(state, [record, EventLog(), *sinks], kept=record.kept)
                async with record:
                    problem = await self._equipped(profile, bus, ends, guard)
                    for engine in ends.unasked:
                        bus.warn(f"what {engine} may still hold is removed once it is back, or by `density clean`")
                    room.release()  # everything is removed: now for the end of the record, the result, the report
                    if log_file.problem:
                        bus.warn(log_file.problem)
                if record.missing:
                    bus.warn(record.problem)
                guard.abandoned = ends.abandoned or bool(ends.unasked)
                guard.all_gone = state.torn_down is not None and not state.torn_down.left
        return problem, record.held

    def _make_run_dir(self, profile: Profile) -> None:
        try:
            make_run_dir(self.run_dir)
            (self.run_dir / PROFILE).write_text(profile_to_toml(profile), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{self.run_dir} cannot be made: {error.strerror}") from error

    async def _equipped(self, profile: Profile, bus: Bus, ends: "_Ends", guard: Guard) -> DensityError | None:
        """From the first event to the last; what ended the run with outcome `error`."""
        begin(bus, profile, run_id=self.run_id, wall=time.time())
        with guard.reaper.telling(bus.warn):
            async with background(WallClock(bus).run):
                return await self._carried_through(profile, bus, ends, runtime_dir=guard.directory)

    async def _carried_through(
        self, profile: Profile, bus: Bus, ends: "_Ends", *, runtime_dir: Path
    ) -> DensityError | None:
        problem: DensityError | None = None
        torn: Torn | None = Torn(anyio.current_time())
        left: Sequence[str] = ()
        with ends.setting_up:
            try:
                async with equip(
                    profile, run_id=self.run_id, runtime_dir=runtime_dir, run_dir=self.run_dir
                ) as equipment:
                    left = equipment.left
                    controller = ends.controller = Controller(equipment, run_id=self.run_id, bus=bus)
                    problem = await controller.run()
                    torn = controller.torn
            except Exception as error:  # noqa: BLE001 — however a run ends, it is reported
                problem = as_problem(error)
        problem = problem or ends.problem
        if bus.state.outcome is None and problem:
            bus.emit(Stopped(anyio.current_time(), "error", str(problem)))
        elif bus.state.outcome is None:
            bus.emit(Stopped(anyio.current_time(), "interrupted", "interrupted while the run was set up"))
        before = ends.controller.removed_before if ends.controller else frozenset()
        conclude(bus, torn or given_up(bus, before=before), left=left)
        return problem


class _Ends:
    """What ends a run from outside: signals, and a record that stopped; from before its first cgroup to after its last.

    Ctrl-C once: tear down and report. Twice: leave at once; the reaper removes what is left.

    Attributes:
        count: signals that were understood.
        setting_up: ends the setting up of the equipment; what was set up by then is put away.
        controller: of the run, once there is one.
        problem: what ended the run before that.
        abandoned: the person did not wait for the teardown.
    """

    def __init__(self, told: Callable[[str], None], *, left: str) -> None:
        """`left`: what the person is told who leaves at once."""
        self.count = 0
        self.setting_up = anyio.CancelScope()
        self.controller: Controller | None = None
        self.problem: DensityError | None = None
        self.abandoned = False
        self._told = told
        self._left = left

    @property
    def unasked(self) -> Sequence[str]:
        """Engines that could not be asked at the end of the teardown."""
        torn = self.controller.torn if self.controller else None
        return torn.unasked if torn else ()

    def fail(self, problem: DensityError) -> None:
        """End the run in order, for this reason."""
        if self.controller:
            self.controller.fail(problem)
        else:
            self.problem = problem
            self.setting_up.cancel()

    async def listen(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take signals until cancelled."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
            task_status.started()
            first_at = 0.0
            async for _ in received:
                now = anyio.current_time()
                if self.count == 1 and now - first_at < SAME_SECONDS:
                    continue
                first_at = first_at or now
                self.count += 1
                if self.count == 1:
                    self._interrupt()
                else:
                    self._leave()

    def _interrupt(self) -> None:
        self._told("interrupted: removing everything (again to leave at once)")
        if self.controller:
            self.controller.interrupt()
        else:
            self.setting_up.cancel()

    def _leave(self) -> None:
        self.abandoned = True
        self._told(self._left)
        if self.controller:
            self.controller.abandon()
        _leave_soon()


def _leave_soon() -> None:
    """End the process even where a call to an engine does not come back; the record has all but the last second."""
    timer = threading.Timer(LEAVE_SECONDS, os._exit, (LEFT_BEHIND,))
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:  # the host has no thread to give; what is left is for the reaper
        os._exit(LEFT_BEHIND)


def _allow_many_files() -> None:
    """A run holds a socket an instance; the soft limit is often 1,024 where the hard one is far higher."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < LEAST_FILES:
        raise too_few_files(hard, least=LEAST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
