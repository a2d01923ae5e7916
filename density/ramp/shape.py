"""The shape of waves: how many instances the next one would have if nothing were in the way."""

import math
from collections.abc import Mapping

from density.profile.spec import Ramp


def size(ramp: Ramp, wave: int) -> int | None:
    """Instances in wave number `wave` (from 0); None after the last one of a list."""
    match ramp.shape:
        case "linear":
            return ramp.start if wave == 0 else ramp.step
        case "geometric":
            if wave * math.log(ramp.factor) > math.log(ramp.max_instances):
                return ramp.max_instances
            return round(ramp.start * ramp.factor**wave)
        case "list":
            return ramp.waves[wave] if wave < len(ramp.waves) else None


def interleave(sizes: Mapping[str, int]) -> list[str]:
    """The order of a wave's launches: workloads mixed evenly instead of one after the other."""
    order = [((index + 0.5) / count, name) for name, count in sizes.items() for index in range(count)]
    return [name for _, name in sorted(order)]
