"""Remove everything a run made, look whether it is gone, and say what is not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.engines.base import Engine
from density.errors import EngineUnavailable, in_short, meant
from density.events import InstanceChanged, StageEntered, TornDown, Warned
from density.model import Failure, Phase, object_name

_GONE = frozenset({Phase.FAILED, Phase.LOST, Phase.REMOVED})
_RUNNING = frozenset({Phase.READY, Phase.STOPPING})
NEWS_SECONDS = 5.0
"""How long to wait for the engines' word that each instance is gone; their own lists have said so already."""


@dataclass(slots=True)
class Torn:
    """What a teardown removed, and what it could not."""

    started_at: float
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


async def tear_down(bus: Bus, equipment: Equipment, *, run_id: str) -> Torn:
    """Stop every instance, then remove by label what no one remembers."""
    torn = Torn(anyio.current_time())
    _give_up_launches(bus)
    ids: dict[str, list[str]] = {name: [] for name in equipment.engines}
    for instance_id, instance in bus.state.instances.items():
        if instance.phase in _RUNNING:
            ids[bus.state.workloads[instance.workload].workload.engine].append(instance_id)

    async def clear(engine: Engine, mine: list[str]) -> None:
        try:
            await _stop(bus, engine, mine)
            reaped = await engine.reap(run_id)
        except EngineUnavailable as gone:
            torn.left.append(f"what {gone.engine} may still hold ({gone.reason})")
            return
        except Exception as error:  # noqa: BLE001 — a fault in one engine is no reason to leave what the others hold
            bus.fault(f"removing by {engine.name}", error)
            torn.left.append(f"what {engine.name} may still hold ({in_short(error)})")
            return
        names = {object_name(run_id, instance_id) for instance_id in mine}.union(reaped.removed)
        torn.removed += names.difference(reaped.left)
        torn.left += reaped.left
        if reaped.problem:
            bus.emit(Warned(anyio.current_time(), f"{engine.name}: {reaped.problem}"))

    async with anyio.create_task_group() as group:
        for name, engine in equipment.engines.items():
            group.start_soon(clear, engine, ids[name])
    with anyio.move_on_after(NEWS_SECONDS):
        await bus.until(lambda state: not any(counts[phase] for counts in state.counts.values() for phase in _RUNNING))
    return torn


async def _stop(bus: Bus, engine: Engine, instance_ids: list[str]) -> None:
    """Stop instances by what is remembered of them; where that fails by a fault, reaping still finds them by label.

    Raises:
        EngineUnavailable: the engine is gone.
    """
    try:
        await engine.stop(instance_ids)
    except Exception as error:
        if meant(error):
            raise
        bus.fault(f"stopping by {engine.name}", error)


def conclude(bus: Bus, torn: Torn, *, left: Sequence[str]) -> None:
    """The last events of a run, once its equipment is put away; `left` is what that could not remove."""
    now = anyio.current_time()
    bus.emit(TornDown(now, len(torn.removed), (*torn.left, *left), now - torn.started_at))
    bus.emit(StageEntered(now, "done"))


def given_up(bus: Bus) -> Torn:
    """A teardown that was not carried through: what was not seen to go is left."""
    state = bus.state
    gone = (Phase.REMOVED, Phase.FAILED)
    left = [object_name(state.run_id, name) for name, instance in state.instances.items() if instance.phase not in gone]
    return Torn(anyio.current_time(), left=left)


def _give_up_launches(bus: Bus) -> None:
    """What was still on its way when the run ended has failed: it will never be ready."""
    now = anyio.current_time()
    pending = [
        (instance_id, instance.workload)
        for instance_id, instance in bus.state.instances.items()
        if instance.phase not in _GONE | _RUNNING
    ]
    for instance_id, workload in pending:
        failure = Failure("cancelled", "the run ended before the instance was ready")
        bus.emit(InstanceChanged(now, instance_id, workload, Phase.FAILED, failure))
