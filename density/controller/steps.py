"""The steps that ramp and search are made of: grow, step back, settle."""

from collections.abc import Mapping

import anyio

from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.launcher import Launcher
from density.controller.settle import Settler
from density.errors import EngineUnavailable, InternalFailure
from density.events import Forecasted, SteppedBack, WaveStarted
from density.model import INTERNAL, Phase
from density.ramp.decide import look_ahead
from density.shares import split


class Steps:
    """Moves a run from one count to another; after each step the host has come to rest and a new forecast is out."""

    def __init__(self, equipment: Equipment, bus: Bus, launcher: Launcher, settler: Settler) -> None:
        self._equipment = equipment
        self._bus = bus
        self._launcher = launcher
        self._settler = settler
        self._wave = 0

    async def grow(self, sizes: Mapping[str, int]) -> None:
        """Launch a wave of these.

        Raises:
            EngineUnavailable: nothing of a workload ever got ready.
            InternalFailure: so it is, and by a fault of density's own; or that came many times in a row.
        """
        self._wave += 1
        target = self._bus.state.alive + sum(sizes.values())
        self._bus.emit(WaveStarted(anyio.current_time(), self._wave, sizes, target))
        await self._launcher.wave(sizes)
        await self.settle()
        self._refuse_the_broken()

    async def grow_to(self, target: int) -> None:
        """Launch what is missing to `target`, in the workloads' shares."""
        state = self._bus.state
        await self.grow(split(target - state.alive, self._equipment.profile.workloads, state.alive_by_workload))

    async def back_to(self, target: int, *, again: bool = False) -> None:
        """Remove the newest instances until `target` are left, in the workloads' shares.

        Args:
            again: to measure the same count once more, so that what it has shown still counts.
        """
        state = self._bus.state
        wanted = split(target, self._equipment.profile.workloads, {})
        surplus = {name: max(0, alive - wanted[name]) for name, alive in state.alive_by_workload.items()}
        self._bus.emit(SteppedBack(anyio.current_time(), surplus, target, again))
        async with anyio.create_task_group() as group:
            for name, count in surplus.items():
                if count:
                    ready = [i for i, known in state.instances.items() if known.phase is Phase.READY]
                    mine = [i for i in ready if state.instances[i].workload == name][-count:]
                    engine = self._equipment.engines[state.workloads[name].workload.engine]
                    group.start_soon(engine.stop, mine)
        await self._bus.until(lambda state: state.alive <= target)

    async def settle(self) -> None:
        """Let the host come to rest, and look ahead."""
        await self._settler.settle(self._wave)
        ahead = look_ahead(self._equipment.profile, self._bus.state)
        self._bus.emit(Forecasted(anyio.current_time(), ahead.forecast()))

    def _refuse_the_broken(self) -> None:
        """A workload of which nothing ever got ready is broken: launching more of it would measure nothing."""
        for name, workload in self._bus.state.workloads.items():
            if workload.failed and not workload.ready and self._bus.state.alive == 0:
                kind, tally = next(iter(workload.failures.items()))
                if kind == INTERNAL:
                    raise InternalFailure(f"no instance of workload {name!r} became ready: {tally.message}")
                lines = "".join(f"\n  | {line}" for line in tally.evidence)
                raise EngineUnavailable(
                    workload.workload.engine,
                    f"no instance of workload {name!r} became ready: {kind}: {tally.message}{lines}",
                )
