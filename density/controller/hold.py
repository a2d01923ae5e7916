"""Hold the final count, and confirm it: everything alive by the engines' own lists, objectives and reserve kept."""

from collections.abc import Mapping

import anyio

from density.ceilings.catalog import BY_ID, readings
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.events import Held
from density.ramp.decide import bounds_of, describe


async def hold(bus: Bus, equipment: Equipment) -> None:
    """Keep what is alive for the profile's hold, while it is probed, and emit what became of it."""
    state = bus.state
    before = state.alive_by_workload
    await anyio.sleep(equipment.profile.ramp.hold_seconds)
    listed = await _listed(equipment)
    after = {name: min(alive, listed.get(name, alive)) for name, alive in state.alive_by_workload.items()}
    missed = tuple(
        describe(reading)
        for reading in readings(state.values(), bounds_of(equipment.profile))
        if reading.room < 0 and (BY_ID[reading.ceiling].is_lethal(reading.subject) or BY_ID[reading.ceiling].soft)
    )
    bus.emit(Held(anyio.current_time(), before, after, missed, kept=before == after and not missed))


async def _listed(equipment: Equipment) -> Mapping[str, int]:
    """How many of each workload the engines themselves list as running."""
    found: dict[str, int] = {}
    for name, engine in equipment.engines.items():
        running = (await engine.describe()).running
        for workload in equipment.profile.workloads:
            if workload.engine == name:
                found[workload.name] = sum(instance_id.rpartition("-")[0] == workload.name for instance_id in running)
    return found
