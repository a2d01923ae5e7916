"""Hold the final count, and confirm it: everything stays alive, every objective and reserve is kept, all the time."""

from collections.abc import Mapping

import anyio

from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.safety import SafetyStop
from density.controller.steps import Steps
from density.events import Held, InstanceChanged, StageEntered, Warned
from density.model import Failure, Phase
from density.ramp.decide import bounds_of, describe, is_over
from density.ramp.sustain import HOLDS, PARTS, next_count, violated


class Holder:
    """Holds what is alive; where that fails, fewer, until a count is sustained or it makes no sense to go on."""

    def __init__(self, equipment: Equipment, bus: Bus, *, steps: Steps, safety: SafetyStop) -> None:
        self._equipment = equipment
        self._ramp = equipment.profile.ramp
        self._bounds = bounds_of(equipment.profile)
        self._bus = bus
        self._steps = steps
        self._safety = safety

    async def hold(self) -> None:
        """Hold, at most HOLDS times, and within the ramp's time but for the first one."""
        state = self._bus.state
        for _ in range(HOLDS):
            await self._safety.idle()
            if not state.alive:
                break
            self._bus.emit(StageEntered(anyio.current_time(), "hold"))
            held = await self._once()
            self._bus.emit(held)
            if held.kept:
                return
            await self._safety.idle()
            target = next_count(state.holds, state.alive)
            now = anyio.current_time()
            if not target or is_over(self._ramp, state, now=now + self._ramp.settle_seconds + self._ramp.hold_seconds):
                break
            if len(state.holds) < HOLDS:
                if target < state.alive:
                    await self._steps.back_to(target)
                await anyio.sleep(self._ramp.settle_seconds)
        self._bus.emit(Warned(anyio.current_time(), "no count is recommended: none was sustained through a hold"))

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
        for _ in range(PARTS):
            mark = series.mark()
            with anyio.move_on_after(self._ramp.hold_seconds / PARTS):
                await self._bus.until(lambda _: failed())
            missed = violated(series, self._bounds, since=mark)
            if missed or failed():
                break
        else:
            await self._find_vanished()
            missed = violated(series, self._bounds)
        crossed = self._safety.count > crossings
        if crossed and self._safety.last:
            missed = [self._safety.last, *missed]
        after = {name: count - (state.workloads[name].lost - died[name]) for name, count in before.items()}
        return Held(
            anyio.current_time(),
            before,
            after,
            tuple(describe(reading) for reading in missed),
            kept=before == after and not missed,
            since=began,
            ceilings=tuple(reading.ceiling for reading in missed),
            crossed=crossed,
        )

    async def _find_vanished(self) -> None:
        """What the state takes for ready and its engine does not list has died without a word."""
        state = self._bus.state
        ready = [name for name, instance in state.instances.items() if instance.phase is Phase.READY]
        listed = await self._listed()
        for instance_id in ready:
            instance = state.instances[instance_id]
            engine = state.workloads[instance.workload].workload.engine
            if instance.phase is Phase.READY and instance_id not in listed[engine]:
                failure = Failure("vanished", f"{engine} no longer lists the instance, and reported no end of it")
                change = InstanceChanged(
                    anyio.current_time(), instance_id, instance.workload, Phase.LOST, failure=failure
                )
                self._bus.emit(change)

    async def _listed(self) -> Mapping[str, frozenset[str]]:
        """The instances that each engine itself lists as running."""
        return {name: frozenset((await engine.describe()).running) for name, engine in self._equipment.engines.items()}
