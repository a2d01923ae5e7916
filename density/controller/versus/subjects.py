"""What is compared, and how far each is ramped; pure."""

from dataclasses import replace

from density.model import Workload
from density.profile.spec import Profile, Ramp


def alone(profile: Profile, workload: Workload) -> Profile:
    """The profile with this workload alone; its waves are smaller by its share, compared with the largest."""
    most = max(each.share for each in profile.workloads)
    part = workload.share / most
    return replace(
        profile,
        name=f"{profile.name}-{workload.name}"[:31].rstrip("-"),
        workloads=(workload,),
        ramp=smaller(profile.ramp, part),
    )


def smaller(ramp: Ramp, part: float) -> Ramp:
    """The ramp with `part` (0 to 1) of every number of instances, at least one."""
    return replace(
        ramp,
        start=_part(ramp.start, part),
        step=_part(ramp.step, part),
        waves=tuple(_part(wave, part) for wave in ramp.waves),
        max_instances=_part(ramp.max_instances, part),
        calibrate=_part(ramp.calibrate, part) if ramp.calibrate else 0,
    )


def _part(count: int, part: float) -> int:
    return max(1, round(count * part))
