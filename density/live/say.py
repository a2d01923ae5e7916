"""Which events are worth a line where there is no terminal, and what the line says."""

import math
from functools import singledispatch

from density.capacity.capacities import failure
from density.events import (
    CeilingForecast,
    Forecasted,
    Held,
    InstanceChanged,
    RunStarted,
    StageEntered,
    SteppedBack,
    Stopped,
    TornDown,
    Warned,
    WaveSettled,
    WaveStarted,
    WorkloadSkipped,
)
from density.live.bar import ASCII
from density.live.doing import doing
from density.live.remaining import seconds_left
from density.live.words import STAGES, about, listing
from density.profile.spec import Ramp
from density.state import RunState
from density.units import format_bytes, format_count, format_seconds


@singledispatch
def say(event: object, state: RunState) -> str:  # noqa: ARG001 — what its registered functions take
    """The line for an event that matters by itself; empty for the others. `state` has folded the event."""
    return ""


@say.register
def _(event: RunStarted, state: RunState) -> str:  # noqa: ARG001
    return f"run {event.run_id}: profile {event.profile_name}, until {event.until}"


@say.register
def _(event: StageEntered, state: RunState) -> str:  # noqa: ARG001
    return STAGES[event.stage]


@say.register
def _(event: WorkloadSkipped, state: RunState) -> str:  # noqa: ARG001
    return f"skipped {event.workload}: {event.reason}"


@say.register
def _(event: WaveStarted, state: RunState) -> str:  # noqa: ARG001
    return f"wave {event.wave}: launching {listing(event.sizes)}, to have {format_count(event.target)}"


@say.register
def _(event: SteppedBack, state: RunState) -> str:  # noqa: ARG001
    return f"stepping back to {format_count(event.target)}"


@say.register
def _(event: WaveSettled, state: RunState) -> str:  # noqa: ARG001
    if not event.wave:
        return "measured the host at rest"
    failed = f", failed: {listing(event.failed)}" if any(event.failed.values()) else ""
    return f"wave {event.wave} settled: {listing(event.counts) or 'none'} ready{failed}"


@say.register
def _(event: Forecasted, state: RunState) -> str:  # noqa: ARG001
    near = [ceiling for ceiling in event.ceilings if math.isfinite(ceiling.count)][:3]
    return f"forecast: {', '.join(map(_said, near))}" if near else ""


def _said(ceiling: CeilingForecast) -> str:
    name = f"{ceiling.ceiling} {ceiling.subject}"
    if ceiling.is_vague:
        return f"{name} not known yet"
    known = " (not measured yet)" if ceiling.typical else ""
    return f"{name} at {format_count(max(ceiling.count, 0))}{known}"


@say.register
def _(event: InstanceChanged, state: RunState) -> str:
    """The first failure of its kind; the others are counted when the wave settles."""
    if event.failure is None:
        return ""
    tally = state.workloads[event.workload].failures.get(event.failure.kind)
    if tally is None or tally.count > 1:
        return ""
    name, message = event.instance_id, event.failure.message
    return f"{name} {event.phase.value}: {event.failure.kind}: {message}"


@say.register
def _(event: Warned, state: RunState) -> str:  # noqa: ARG001
    return f"warning: {event.message}"


@say.register
def _(event: Stopped, state: RunState) -> str:  # noqa: ARG001
    return f"stopped: {event.reason}"


@say.register
def _(event: Held, state: RunState) -> str:  # noqa: ARG001
    if not event.kept:
        return f"hold failed: {failure(event)}"
    return f"held: {listing(event.counts_after) or 'none'} ready, everything was kept"


@say.register
def _(event: TornDown, state: RunState) -> str:  # noqa: ARG001
    left = f"left behind: {', '.join(event.left)}" if event.left else "nothing is left"
    return f"removed {format_count(event.removed)} in {format_seconds(event.seconds)}, {left}"


def standing(state: RunState, ramp: Ramp | None) -> str:
    """Where things stand, in one line: what is happening, what is there, and how long it will still take."""
    host = state.host
    parts = [f"{format_count(state.alive)} ready"]
    if "cpu.busy_ratio" in host:
        parts.append(f"cpu {host['cpu.busy_ratio']:.0%}")
    if "memory.available_bytes" in host:
        parts.append(f"{format_bytes(host['memory.available_bytes'])} of memory free")
    if "tasks.count" in host:
        parts.append(f"{format_count(host['tasks.count'])} tasks")
    left = seconds_left(ramp, state) if ramp else None
    time = [f"{about(left)} left"] if left is not None else []
    return "; ".join([str(doing(state, ramp, ASCII)), ", ".join(parts), *time])
