"""How near every ceiling is right now, from the state alone: for what is shown while a run goes on."""

from density.ceilings.catalog import readings
from density.ceilings.reading import Bounds, Reading
from density.profile.spec import Objectives, Reserve
from density.state import RunState


def current_readings(state: RunState) -> tuple[Reading, ...]:
    """Every ceiling that the last sample tells of, held against the reserve and objectives of the run."""
    if not state.run_id:
        return ()
    bounds = Bounds(Reserve(**state.reserves), Objectives(**state.objectives))  # type: ignore[arg-type]  # bytes are whole
    return tuple(readings(state.values(), bounds))
