"""The steps that ramp, search and hold are made of: grow, scale down, settle."""

import math
from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.lowlevel

from density.capacity.outlook import fitting
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.launcher import Launcher
from density.controller.scaling import newest_by_workload, scale_down
from density.controller.settle import Settler
from density.errors import EngineUnavailable, InternalFailure
from density.events import Forecasted, WaveStarted
from density.model import INTERNAL
from density.ramp.decide import bounds_of, is_explained, is_over, look_ahead
from density.shares import split

SLICE = 1000
"""Points that lines are fitted through before everything else gets its turn: some 10 ms."""


class Steps:
    """Moves a run from one count to another; after growing the host has come to rest and a new forecast is out.

    Args:
        idle: waits until the safety stop removes nothing.
    """

    def __init__(
        self,
        equipment: Equipment,
        bus: Bus,
        launcher: Launcher,
        settler: Settler,
        *,
        idle: Callable[[], Awaitable[None]],
    ) -> None:
        self._equipment = equipment
        self._idle = idle
        self._bus = bus
        self._launcher = launcher
        self._settler = settler
        self._wave = 0
        self._seen_in_slice: set[str] = set()

    @property
    def time_is_over(self) -> bool:
        """Whether the ramp's time is over, so that nothing more may be launched."""
        return is_over(self._equipment.profile.ramp, self._bus.state, now=anyio.current_time())

    async def grow(self, sizes: Mapping[str, int]) -> None:
        """Launch a wave of these, or as many of it as the ramp's time allows.

        Raises:
            EngineUnavailable: nothing of a workload ever got ready.
            InternalFailure: so it is, and by a fault of density's own; or that came many times in a row.
        """
        self._wave += 1
        state, most = self._bus.state, self._equipment.profile.ramp.max_seconds
        target = state.alive + sum(sizes.values())
        self._bus.emit(WaveStarted(anyio.current_time(), self._wave, sizes, target))
        before, ready = self._equipment.populations(), state.alive
        await self._launcher.wave(sizes, until=state.started_at + most if most else math.inf)
        self._find_outside(sizes, before, new=state.alive - ready)
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
        await scale_down(self._bus, self._equipment, newest_by_workload(state, surplus), again=again)

    async def settle(self) -> None:
        """Let the host come to rest, and look ahead."""
        await self._idle()
        await self._settler.settle(self._wave)
        profile, state = self._equipment.profile, self._bus.state
        done = 0
        for points in fitting(state, profile.workloads, bounds_of(profile)):
            done += points
            if done >= SLICE:
                done = 0
                await anyio.lowlevel.checkpoint()
        self._bus.emit(Forecasted(anyio.current_time(), look_ahead(profile, state).forecast()))

    def _find_outside(self, sizes: Mapping[str, int], before: Mapping[str, int], *, new: int) -> None:
        """Warn where instances are not in the cgroup that is to hold them: their engine has put them elsewhere."""
        unseen = {name for name, size in sizes.items() if size} - self._seen_in_slice
        if not unseen or new <= 0:
            return
        self._seen_in_slice |= unseen
        for limit, count in self._equipment.populations().items():
            if (inside := max(0, count - before.get(limit, 0))) < new:
                which = ", ".join(sorted(unseen))
                self._bus.warn(
                    f"slice.{limit} is not enforced for all of {which}: {new} more instances run, and the kernel"
                    f" holds {inside} more processes to it; their engine put the others elsewhere"
                )

    def _refuse_the_broken(self) -> None:
        """A workload of which nothing ever got ready is broken: launching more of it would measure nothing.

        Where a ceiling explains it, not even one fits: the ramp ends there, with a maximum of 0.
        """
        if is_explained(self._equipment.profile, self._bus.state):
            return
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
