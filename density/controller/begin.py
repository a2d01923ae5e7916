"""The first event of a run."""

from dataclasses import asdict

import anyio

from density import __version__
from density.controller.bus import Bus
from density.events import RunStarted
from density.profile.spec import Objectives, Profile, Reserve


def begin(bus: Bus, profile: Profile, *, run_id: str, wall: float) -> None:
    """Say that a run has started, and with what; `wall` is UNIX seconds."""
    bus.emit(
        RunStarted(
            anyio.current_time(),
            run_id=run_id,
            wall=wall,
            density_version=__version__,
            profile_name=profile.name,
            until=profile.ramp.until,
            workloads=profile.workloads,
            max_instances=profile.ramp.max_instances,
            objectives=_numbers(profile.objectives),
            reserves=_numbers(profile.reserve),
            required=profile.require.asked(),
        )
    )


def _numbers(settings: Reserve | Objectives) -> dict[str, float]:
    return {name: value for name, value in asdict(settings).items() if value is not None}
