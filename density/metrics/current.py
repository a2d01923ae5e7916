"""How near every ceiling is right now, from the state alone: for what is shown while a run goes on."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from density.ceilings.catalog import readings
from density.ceilings.reading import Bounds, Reading, silent_of
from density.profile.spec import Objectives, Reserve
from density.state import RunState


def bounds_of_run(state: RunState) -> Bounds:
    """The reserve and the objectives of the run; an objective that the run does not name was not asked for."""
    unset: dict[str, Any] = dict.fromkeys(field.name for field in fields(Objectives))
    return Bounds(
        Reserve(**_known(Reserve, state.reserves)),
        Objectives(**unset | _known(Objectives, state.objectives)),
        silent_of(each.workload for each in state.workloads.values()),
    )


def current_readings(state: RunState) -> tuple[Reading, ...]:
    """Every ceiling that the last sample tells of, held against the reserve and objectives of the run."""
    return tuple(readings(state.values(), bounds_of_run(state)))


def _known(kind: type[Reserve] | type[Objectives], settings: Mapping[str, float]) -> dict[str, Any]:
    """Without what a record of another version has and this one does not know."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in settings.items() if name in names}
