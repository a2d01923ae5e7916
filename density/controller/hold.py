"""Hold the final count, and confirm it: everything stays alive, every objective and reserve is kept, all the time."""

from collections import Counter
from collections.abc import Mapping

import anyio

from density.ceilings.errors import ENGINE_KINDS
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.safety import SafetyStop
from density.controller.stalls import Stalls, find_vanished
from density.controller.steps import Steps
from density.errors import EngineUnavailable
from density.events import Held, StageEntered
from density.ramp.decide import bounds_of, describe, is_over
from density.ramp.sustain import HOLDS, PARTS, next_count, violated
from density.units import format_counted, format_seconds


class Holder:
    """Holds what is alive; where that fails, fewer, until a count is sustained or it makes no sense to go on."""

    def __init__(self, equipment: Equipment, bus: Bus, *, steps: Steps, safety: SafetyStop, stalls: Stalls) -> None:
        self._equipment = equipment
        self._ramp = equipment.profile.ramp
        self._bounds = bounds_of(equipment.profile)
        self._bus = bus
        self._steps = steps
        self._safety = safety
        self._stalls = stalls

    async def hold(self) -> None:
        """Hold, at most HOLDS times, and within the ramp's time but for the first one."""
        state = self._bus.state
        for _ in range(HOLDS):
            await self._safety.idle()
            if not state.alive:
                break
            self._bus.emit(StageEntered(anyio.current_time(), "hold"))
            lost = {name: workload.lost for name, workload in state.workloads.items()}
            kinds = Counter(state.lost_in_wave)
            held = await self._once()
            self._bus.emit(held)
            if held.kept:
                return
            self._refuse_the_engine(lost, state.lost_in_wave - kinds)
            await self._safety.idle()
            target = next_count(state.holds, state.alive)
            now = anyio.current_time()
            if not target or is_over(self._ramp, state, now=now + self._ramp.settle_seconds + self._ramp.hold_seconds):
                break
            if len(state.holds) < HOLDS:
                if target < state.alive:
                    await self._steps.back_to(target)
                await anyio.sleep(self._ramp.settle_seconds)
        self._bus.warn("no count is recommended: none was sustained through a hold")

    def _refuse_the_engine(self, lost_before: Mapping[str, int], kinds: Counter[str]) -> None:
        """Where most of what died in a hold went with its engine, nothing is known of the host.

        Raises:
            EngineUnavailable: so it is.
        """
        by_engine = sum(kinds[kind] for kind in ENGINE_KINDS)
        if 2 * by_engine <= kinds.total():
            return
        lost = Counter({name: each.lost - lost_before[name] for name, each in self._bus.state.workloads.items()})
        name, _ = lost.most_common(1)[0]
        workload = self._bus.state.workloads[name]
        said = next(tally.message for kind, tally in workload.failures.items() if kind in ENGINE_KINDS)
        died = format_counted(by_engine, "instance", "instances")
        raise EngineUnavailable(workload.workload.engine, f"{died} died in the hold: {said}")

    async def _once(self) -> Held:
        """One hold; it ends early where it is sure to have failed."""
        state = self._bus.state
        began, before, crossings = anyio.current_time(), state.alive_by_workload, self._safety.count
        died = {name: workload.lost for name, workload in state.workloads.items()}

        def failed() -> bool:
            lost = any(workload.lost > died[name] for name, workload in state.workloads.items())
            return lost or self._safety.count > crossings

        series = state.hold
        assert series is not None
        for part in range(1, PARTS + 1):
            mark = series.mark()
            with anyio.move_on_after(self._ramp.hold_seconds / PARTS):
                await self._bus.until(lambda _: failed())
            missed = violated(series, self._bounds, since=mark, look=part)
            if missed or failed():
                break
        else:
            await find_vanished(self._bus, self._equipment.engines)
            missed = violated(series, self._bounds, look=PARTS + 1)
        await self._stalls.look()
        unwatched = sum(each.seconds for each in state.stalls if each.at > began)
        words = [describe(reading) for reading in missed]
        if unwatched:
            words.append(f"density itself did not run for {format_seconds(unwatched)}")
        crossed = self._safety.count > crossings
        if crossed and self._safety.last:
            missed = [self._safety.last, *missed]
        after = {name: count - (state.workloads[name].lost - died[name]) for name, count in before.items()}
        return Held(
            anyio.current_time(),
            before,
            after,
            tuple(words),
            kept=before == after and not missed and not unwatched,
            since=began,
            ceilings=tuple(reading.ceiling for reading in missed),
            crossed=crossed,
            unwatched=unwatched,
        )
