"""Remove everything a run made, look whether it is gone, and say what is not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import anyio

from density.controller.away import when_back
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.engines.base import Engine
from density.errors import EngineUnavailable, in_short, meant
from density.events import InstanceChanged, StageEntered, TornDown
from density.model import Failure, Phase, Reaped, object_name
from density.payload.background import background
from density.state import RunState
from density.threads import in_thread

_GONE = frozenset({Phase.FAILED, Phase.LOST, Phase.REMOVED})
_RUNNING = frozenset({Phase.READY, Phase.STOPPING})
NEWS_SECONDS = 5.0
"""How long to wait for the engines' word that each instance is gone; their own lists have said so already."""
STUCK_SECONDS = 15.0
"""Longer than the engines wait for payloads to end by themselves (10 s)."""


@dataclass(slots=True)
class Torn:
    """What a teardown removed, and what it could not.

    Attributes:
        unasked: engines that could not be asked at its end, so that nobody knows what they still hold.
    """

    started_at: float
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)


async def tear_down(bus: Bus, equipment: Equipment, *, run_id: str) -> Torn:
    """Stop every instance, then remove by label what no one remembers."""
    torn = Torn(anyio.current_time())
    _give_up_launches(bus)
    ids: dict[str, list[str]] = {name: [] for name in equipment.engines}
    for instance_id, instance in bus.state.instances.items():
        if instance.phase in _RUNNING:
            ids[bus.state.workloads[instance.workload].workload.engine].append(instance_id)

    unlisted: list[str] = []
    gone: list[str] = []

    def lost(mine: list[str], why: str) -> None:
        """The engine does not list what it holds: what is not seen to go may still be there."""
        unlisted.extend(mine)
        torn.left.append(why)

    async def clear(engine: Engine, mine: list[str]) -> None:
        try:
            reaped = await _cleared(bus, engine, mine, run_id=run_id)
        except EngineUnavailable as error:
            torn.unasked.append(engine.name)
            lost(mine, f"what {error.engine} may still hold ({error.reason})")
            return
        except Exception as error:  # noqa: BLE001 — a fault in one engine is no reason to leave what the others hold
            bus.fault(f"removing by {engine.name}", error)
            lost(mine, f"what {engine.name} may still hold ({in_short(error)})")
            return
        names = {object_name(run_id, instance_id) for instance_id in mine}.union(reaped.removed)
        torn.removed += names.difference(reaped.left)
        gone.extend(each for each in mine if object_name(run_id, each) not in reaped.left)
        torn.left += reaped.left
        if reaped.problem:
            bus.warn(f"{engine.name}: {reaped.problem}")

    async with background(partial(_kill_what_stays, bus, equipment)), anyio.create_task_group() as group:
        for name, engine in equipment.engines.items():
            group.start_soon(clear, engine, ids[name])
    with anyio.move_on_after(NEWS_SECONDS):
        await bus.until(lambda state: not _running(state))
    _end_unreported(bus, gone)
    for instance_id in unlisted:
        ended = bus.state.instances[instance_id].phase not in _RUNNING
        (torn.removed if ended else torn.left).append(object_name(run_id, instance_id))
    return torn


def _end_unreported(bus: Bus, gone: Sequence[str]) -> None:
    """What its engine lists no more has ended, also where nobody reported it, such as because the reporter hangs."""
    for instance_id in gone:
        instance = bus.state.instances[instance_id]
        if instance.phase in _RUNNING:
            bus.emit(InstanceChanged(anyio.current_time(), instance_id, instance.workload, Phase.REMOVED))


async def _kill_what_stays(bus: Bus, equipment: Equipment) -> NoReturn:
    """Where nothing goes any more, kill what is in the slice: an engine on a full host cannot fork to end anything.

    The engines find it ended then, and remove what is left of it.
    """
    running = _running(bus.state)
    killed = 0
    while True:
        await anyio.sleep(STUCK_SECONDS)
        before, running = running, _running(bus.state)
        if not running or running < before:
            continue
        try:
            count = await in_thread(equipment.kill)
        except Exception as error:  # noqa: BLE001 — the removal goes on beside this
            bus.fault("killing what is in the slice", error)
            continue
        if count and not killed:
            stuck = f"the engines removed nothing for {STUCK_SECONDS:.0f} s"
            bus.warn(f"{stuck}: killed {count:,} processes of the slice")
        killed += count


def _running(state: RunState) -> int:
    return sum(counts[phase] for counts in state.counts.values() for phase in _RUNNING)


async def _cleared(bus: Bus, engine: Engine, instance_ids: list[str], *, run_id: str) -> Reaped:
    """Stop and reap, and again while the engine is away.

    Raises:
        EngineUnavailable: the engine is gone.
    """

    async def remove() -> Reaped:
        await _stop(bus, engine, instance_ids)
        return await engine.reap(run_id)

    def still_run() -> int:
        return sum(bus.state.instances[instance_id].phase in _RUNNING for instance_id in instance_ids)

    return await when_back(remove, left=still_run, told=bus.warn)


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


def removed_ids(state: RunState) -> frozenset[str]:
    """The instances that are removed by now."""
    return frozenset(name for name, instance in state.instances.items() if instance.phase is Phase.REMOVED)


def given_up(bus: Bus, *, before: frozenset[str]) -> Torn:
    """A teardown that was not carried through: what was not seen to go is left; `before` it, these were removed."""
    state = bus.state
    gone = (Phase.REMOVED, Phase.FAILED)
    left = [object_name(state.run_id, name) for name, instance in state.instances.items() if instance.phase not in gone]
    removed = [object_name(state.run_id, name) for name in removed_ids(state) - before]
    return Torn(anyio.current_time(), removed, left)


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
