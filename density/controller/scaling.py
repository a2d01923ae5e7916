"""Remove instances in the middle of a run."""

from collections.abc import Sequence

import anyio

from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.errors import EngineUnavailable
from density.events import SteppedBack
from density.model import Phase
from density.state import RunState
from density.units import format_some

ATTEMPTS = 3
REMOVAL_SECONDS = 5.0
"""How long after an engine is done with stopping its word of each instance may take."""


def newest(state: RunState, count: int) -> list[str]:
    """The ids of the newest ready instances, at most so many."""
    found: list[str] = []
    for instance_id in reversed(state.instances):
        if len(found) >= count:
            break
        if state.instances[instance_id].phase is Phase.READY:
            found.append(instance_id)
    return found


def newest_by_workload(state: RunState, surplus: dict[str, int]) -> list[str]:
    """The ids of the newest ready instances, at most so many of each workload."""
    left = dict(surplus)
    found: list[str] = []
    for instance_id in reversed(state.instances):
        instance = state.instances[instance_id]
        if instance.phase is Phase.READY and left.get(instance.workload, 0) > 0:
            left[instance.workload] -= 1
            found.append(instance_id)
    return found


async def scale_down(bus: Bus, equipment: Equipment, instance_ids: Sequence[str], *, again: bool = False) -> None:
    """Remove these instances, newest first as they are given, and come back when they are gone.

    Args:
        again: to measure the same count once more, so that what was measured of it still counts.

    Raises:
        EngineUnavailable: some do not go, so that nothing that is measured from now on would be of this count.
    """
    state = bus.state
    mine: dict[str, list[str]] = {name: [] for name in state.workloads}
    for instance_id in reversed(instance_ids):
        mine[state.instances[instance_id].workload].append(instance_id)
    sizes = {name: len(ids) for name, ids in mine.items()}
    bus.emit(SteppedBack(anyio.current_time(), sizes, state.alive - len(instance_ids), again))
    for _ in range(ATTEMPTS):
        async with anyio.create_task_group() as group:
            for name, ids in mine.items():
                if ids:
                    group.start_soon(equipment.engines[state.workloads[name].workload.engine].stop, ids)
        await bus.until(lambda state: all(state.instances[each].phase is not Phase.READY for each in instance_ids))
        with anyio.move_on_after(REMOVAL_SECONDS):
            await bus.until(lambda state: not _stays(state, instance_ids))
        mine = {name: _stays(state, ids) for name, ids in mine.items()}
        if not any(mine.values()):
            return
    for name, ids in mine.items():
        if ids:
            engine = state.workloads[name].workload.engine
            raise EngineUnavailable(engine, f"{format_some(ids)} cannot be stopped; no smaller count can be measured")


def _stays(state: RunState, instance_ids: Sequence[str]) -> list[str]:
    """Those that were told to go and are still there."""
    return [each for each in instance_ids if state.instances[each].phase is Phase.STOPPING]
