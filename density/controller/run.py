"""One run from preflight to teardown."""

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager

import anyio
from anyio.abc import TaskGroup

from density.capacity.capacities import keeps, most_kept, violated
from density.ceilings.catalog import BY_ID
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.hold import Holder
from density.controller.launcher import Launcher
from density.controller.preflight import refuse_problems
from density.controller.prober import Prober
from density.controller.reserves import Reserves
from density.controller.safety import SafetyStop
from density.controller.sampler import Sampler
from density.controller.settle import Settler
from density.controller.stalls import Stalls
from density.controller.steps import Steps
from density.controller.teardown import Torn, removed_ids, tear_down
from density.controller.watchdog import Watchdog
from density.engines.base import Engine
from density.errors import (
    CannotRun,
    DensityError,
    EngineUnavailable,
    HostUnreadable,
    InternalFailure,
    NoRoom,
    UsageError,
    in_short,
    meant,
    without_room,
)
from density.events import (
    EngineFound,
    HostFound,
    OutcomeName,
    Stage,
    StageEntered,
    Stopped,
    WorkloadPrepared,
    WorkloadSkipped,
)
from density.log import logger
from density.model import Workload
from density.profile.cautions import cautions
from density.profile.spec import Profile
from density.ramp.decide import Launch, Stop, bounds_of, decide, describe
from density.ramp.search import Bisection, Try, are_enough
from density.state import RunState

log = logger(__name__)


class Controller:
    """Runs the profile of an equipment, once.

    Attributes:
        torn: what the teardown did; None before, or where it was given up.
        removed_before: ids of the instances that were removed before it.

    Args:
        bus: takes every event; its state is what is known, and knows already that the run has started (`begin`).
    """

    def __init__(
        self,
        equipment: Equipment,
        *,
        run_id: str,
        bus: Bus,
    ) -> None:
        self._equipment = equipment
        profile = equipment.profile
        self._run_id = run_id
        self._bus = bus
        self._scope = anyio.CancelScope()
        self._teardown_scope = anyio.CancelScope(shield=True)
        self.torn: Torn | None = None
        self.removed_before: frozenset[str] = frozenset()
        self._problem: DensityError | None = None
        reserves = Reserves(profile, bus.state, equipment.host.quick, watchdog=equipment.watchdog)
        self._launcher = Launcher(
            bus, equipment.engines, profile.workloads, reserves=reserves, concurrency=profile.ramp.concurrency
        )
        self._safety = SafetyStop(equipment, bus, self._launcher)
        self._stalls = Stalls(bus, equipment.engines, lease_seconds=profile.lease_seconds)
        self._sampler = Sampler(
            bus,
            equipment.host,
            bounds=bounds_of(profile),
            reserves=reserves,
            stalls=self._stalls,
            brake=self._safety.crossed,
            unreadable=self._unreadable,
        )
        self._prober = Prober(bus, equipment.pinger)
        settler = Settler(
            bus, self._sampler, self._prober, bounds=bounds_of(profile), seconds=profile.ramp.settle_seconds
        )
        self._steps = Steps(equipment, bus, self._launcher, settler, idle=self._safety.idle)

    @property
    def _profile(self) -> Profile:
        return self._equipment.profile

    async def run(self) -> DensityError | None:
        """Everything, and always the teardown; `conclude` follows when the equipment is put away.

        Returns:
            What ended the run with outcome `error`: an engine or a workload that it could not begin or go on with, or a
            fault of density's own.
        """
        async with anyio.create_task_group() as group:
            if self._equipment.watchdog:
                group.start_soon(self._await_alarm, self._equipment.watchdog)
            protection = ExitStack()
            try:
                with self._scope:
                    await self._stages(group, protection)
            except Exception as error:  # noqa: BLE001 — however a run ends, it is torn down and reported
                self.fail(as_problem(error))
            finally:
                with self._teardown_scope:
                    self._safety.end()
                    self._enter("teardown")
                    self.removed_before = removed_ids(self._bus.state)
                    self.torn = await tear_down(self._bus, self._equipment, run_id=self._run_id)
                if (dog := self._equipment.watchdog) and dog.killed:
                    self._bus.warn(f"the watchdog killed {dog.killed:,} processes in the run's slice")
                protection.close()
                group.cancel_scope.cancel()
        return self._problem

    def interrupt(self) -> None:
        """End the run now, in order: nothing more is launched, everything is torn down. May be called again."""
        self._end_anew("interrupted", "interrupted")
        self._launcher.stop()
        self._scope.cancel()

    def fail(self, problem: DensityError) -> None:
        """End the run in order, for this reason; the first one is the one that is reported."""
        log.error("run failed", error=str(problem))
        before = self._bus.state.outcome
        if before is None or before.outcome not in {"interrupted", "error"}:
            self._end_anew("error", str(problem))
        self._problem = self._problem or problem
        self._launcher.stop()
        self._scope.cancel()

    def abandon(self) -> None:
        """Give the teardown up: what is still there stays."""
        self._teardown_scope.cancel()

    async def _stages(self, group: TaskGroup, protection: ExitStack) -> None:
        for engine in self._equipment.engines.values():
            group.start_soon(self._beside, self._watch, engine)
        self._enter("preflight")
        self._bus.emit(HostFound(anyio.current_time(), self._equipment.host.facts()))
        for warning in (*cautions(self._profile), *self._equipment.warnings):
            self._bus.warn(warning)
        try:
            await self._preflight()
        except NoRoom as error:
            await self._sampler.sample()
            self._stop(Stop("ceiling", str(error), error.ceiling))
            return
        protection.enter_context(self._equipment.protection())  # compilers and package tools have ended by now
        self._safety.begin(group, self._sampler.sample)
        await self._sampler.sample()
        group.start_soon(self._beside, self._sampler.run)
        group.start_soon(self._beside, self._prober.run)
        self._enter("calibrate")
        if await self._calibrate():
            self._enter("ramp")
            await self._ramp()
        outcome = self._bus.state.outcome
        if outcome and outcome.ceiling and BY_ID[outcome.ceiling].soft:
            self._enter("search")
            await self._search()
        if self._bus.state.alive and self._profile.ramp.hold_seconds:
            holder = Holder(self._equipment, self._bus, steps=self._steps, safety=self._safety, stalls=self._stalls)
            await holder.hold()
        await self._stalls.look()  # before the teardown, which would take the dead for removed

    async def _beside(self, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """What goes on beside the stages; where it fails, the run would be blind, so it ends in order."""
        try:
            await work(*args)
        except Exception as error:  # noqa: BLE001 — or the teardown would be blind as well
            self.fail(as_problem(error))

    async def _watch(self, engine: Engine) -> None:
        async with aclosing(engine.watch()) as changes:
            async for change in changes:
                try:
                    self._bus.emit(change)
                except Exception as error:  # noqa: BLE001 — of what follows, the run must hear all the same
                    self._bus.fault(f"the report of {engine.name}", error)

    async def _preflight(self) -> None:
        """Find out whether everything can run here, first without starting anything, and leave out what may be skipped.

        Raises:
            UsageError: something cannot run, and may not be skipped, or nothing else is left.
            EngineUnavailable: likewise, because of its engine.
            NoRoom: not even one instance of a workload fits.
        """
        self._leave_out(self._equipment.skipped)
        for name, engine in self._equipment.engines.items():
            with self._skipping(*(each for each in self._profile.workloads if each.engine == name)):
                info = await engine.describe()
                self._bus.emit(EngineFound(anyio.current_time(), info))
                self._equipment.host.watch_engine(info)
        refuse_problems([each for workload in self._profile.workloads if (each := await self._why_not(workload))])
        for workload in self._profile.workloads:
            with self._skipping(workload):
                await self._prepare(workload)

    async def _why_not(self, workload: Workload) -> str:
        """Why it cannot run here, as far as can be seen without starting anything; empty where it can or is skipped."""
        try:
            with self._skipping(workload):
                await self._equipment.engines[workload.engine].check(workload)
        except UsageError as error:
            return str(error)
        return ""

    async def _prepare(self, workload: Workload) -> None:
        started = anyio.current_time()
        prepared = await self._equipment.engines[workload.engine].prepare(workload)
        now = anyio.current_time()
        self._equipment.host.add_bridges(tuple(prepared.networks))
        took = now - started
        self._bus.emit(
            WorkloadPrepared(now, workload.name, prepared.accelerator, prepared.networks, took, prepared.pools)
        )
        for warning in prepared.warnings:
            self._bus.warn(warning)

    @contextmanager
    def _skipping(self, *workloads: Workload) -> Iterator[None]:
        """Leave these workloads out where they cannot run here, if the profile allows it and others are left."""
        try:
            yield
        except (CannotRun, EngineUnavailable) as error:
            reasons = {each.name: str(error) for each in workloads}
            if self._profile.endpoints.missing != "skip" or not self._profile.without(reasons).workloads:
                raise
            self._leave_out(reasons)

    def _leave_out(self, reasons: Mapping[str, str]) -> None:
        self._equipment.profile = self._profile.without(reasons)
        for name, reason in reasons.items():
            self._bus.emit(WorkloadSkipped(anyio.current_time(), name, reason))

    async def _calibrate(self) -> bool:
        """Each workload alone with a few instances; False where that already ended the ramp."""
        await self._steps.settle()
        for workload in self._profile.workloads:
            left = self._profile.ramp.max_instances - self._bus.state.alive
            step = await self._next(0)
            if isinstance(step, Stop):
                self._stop(step)
                return False
            count = min(self._profile.ramp.calibrate, step.count, left)
            if count > 0:
                await self._steps.grow({workload.name: count})
        return True

    async def _ramp(self) -> None:
        for wave in itertools.count():
            step = await self._next(wave)
            if isinstance(step, Stop):
                self._stop(step)
                return
            await self._steps.grow_to(self._bus.state.alive + step.count)

    def _launching_is_over(self) -> bool:
        return self._safety.first is not None or self._steps.time_is_over

    async def _next(self, wave: int) -> Launch | Stop:
        if crossed := self._safety.first:
            return Stop("ceiling", f"the reserve was touched: {describe(crossed)}", *crossed.key)
        step = decide(self._profile, self._bus.state, wave)
        _log_decision(self._bus.state, wave, step)
        if isinstance(step, Stop) and step.engine:
            raise EngineUnavailable(step.engine, step.reason)
        if isinstance(step, Stop) and step.surge and self._launcher.ease():
            self._bus.warn(f"launching fewer at once, for a moment it was too many: {step.reason}")
            return Launch(1)
        if isinstance(step, Stop) and step.doubtful:
            return await self._ask_again(wave, step)
        return step

    async def _ask_again(self, wave: int, doubtful: Stop) -> Launch | Stop:
        """Where something else moved the host while it was read: rest once more, then go on in small steps."""
        self._bus.warn(f"something else on this host moves {doubtful.ceiling}; resting once more: {doubtful.reason}")
        await self._steps.settle()
        step = decide(self._profile, self._bus.state, wave)
        _log_decision(self._bus.state, wave, step)
        if isinstance(step, Stop) and step.doubtful and not self._safety.first:
            return Launch(step.doubtful)
        return step

    async def _search(self) -> None:
        """Where an objective ended the ramp: the exact count that keeps it."""
        state, bounds = self._bus.state, bounds_of(self._profile)
        unmissed = max((point.count for point in state.settled if not violated(point, bounds)), default=0)
        known = Bisection(most_kept(state.settled, bounds), state.alive, guess=unmissed)
        while (step := known.next()) and await self._try(step):
            known = known.after(step.target, kept=keeps(state.settled[-1], bounds))
        if state.alive > known.kept:
            await self._steps.back_to(known.kept)
            await self._steps.settle()

    async def _try(self, step: Try) -> bool:
        """Up to the target, again and again until as many were launched as the objectives are judged by.

        Returns:
            Whether the target can be judged: neither the safety stop nor the end of the ramp's time came before.
        """
        state, bounds = self._bus.state, bounds_of(self._profile)
        for again in itertools.count():
            if self._launching_is_over():
                return False
            await self._steps.back_to(step.back, again=again > 0)
            await self._steps.grow_to(step.target)
            if self._launching_is_over() and state.alive < step.target:
                return False
            enough = are_enough(state.launches_measured) or not bounds.objectives.by_launches
            if enough or violated(state.settled[-1], bounds):
                return True
        return False

    def _unreadable(self, error: HostUnreadable) -> None:
        """Go no further on a host that cannot be seen: what is in flight is given up, everything is removed."""
        if self._problem is None:
            self._bus.warn(str(error))
            self.fail(error)

    async def _await_alarm(self, watchdog: Watchdog) -> None:
        """End the run where the watchdog says so."""
        alarm = await watchdog.alarmed()
        if alarm.reading:
            reason = f"the host ran through half of a reserve: {describe(alarm.reading)}"
            self._bus.warn(f"everything is removed: {reason}")
            self._stop(Stop("ceiling", reason, *alarm.reading.key))
            self._launcher.stop()
            self._scope.cancel()
        elif self._bus.state.stage == "teardown":
            self._bus.warn(f"density's event loop did not run for {alarm.seconds:.0f} s during the teardown")
        else:
            self.fail(InternalFailure(f"density's event loop did not run for {alarm.seconds:.0f} s"))

    def _enter(self, stage: Stage) -> None:
        self._bus.emit(StageEntered(anyio.current_time(), stage))

    def _end_anew(self, outcome: OutcomeName, reason: str) -> None:
        """How the run ends, also where its ramp had ended already; a teardown is not ended by anything."""
        before = self._bus.state.outcome
        if self._bus.state.stage in ("teardown", "done"):
            return
        reason = f"{reason} in the hold; before that, {before.reason}" if before else reason
        named = (before.ceiling, before.subject, before.by_failures) if before else ("", "", False)
        self._bus.emit(Stopped(anyio.current_time(), outcome, reason, *named))

    def _stop(self, step: Stop) -> None:
        if self._bus.state.outcome is None:
            named = (step.ceiling, step.subject, step.by_failures)
            self._bus.emit(Stopped(anyio.current_time(), step.outcome, step.reason, *named))


def _log_decision(state: RunState, wave: int, step: Launch | Stop) -> None:
    """What was decided, and from what."""
    near = {f"{each.ceiling} {each.subject}".rstrip(): round(each.count, 1) for each in state.forecast[:3]}
    taken = {"launch": step.count} if isinstance(step, Launch) else {"stop": step.outcome, "reason": step.reason}
    log.info(
        "decision", wave=wave, **taken, alive=state.alive, measures=state.measures(), failed=dict(state.failed_in_wave),
        lost=dict(state.lost_in_wave), forecast=near,
    )  # fmt: skip


def as_problem(error: Exception) -> DensityError:
    """What is said of an exception that ended a run; of a fault of density's own, its traceback goes to the log."""
    if problem := meant(error) or without_room(error):
        return problem
    log.error("internal failure", error=in_short(error), exc_info=error)
    return InternalFailure(f"density itself failed: {in_short(error)}; see density.log of this run")
