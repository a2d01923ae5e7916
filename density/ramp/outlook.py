"""What a ramp would do, before it starts: the waves up to the nearest ceiling that is known."""

from density.profile.spec import Ramp
from density.ramp.shape import size


def planned_waves(ramp: Ramp, fits: float) -> list[int]:
    """Sizes of the waves after calibration, until `fits` instances, the profile's max or its list's end is reached."""
    most = int(min(fits, ramp.max_instances))
    waves: list[int] = []
    alive = 0
    while alive < most and (wanted := size(ramp, len(waves))) is not None:
        waves.append(min(wanted, most - alive))
        alive += waves[-1]
    return waves
