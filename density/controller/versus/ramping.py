"""Each subject's own ramp, as `density run` would do it: start at density, capacity, memory, kernels."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from density.capacity.versus.figure import Figures, Subject
from density.capacity.versus.ran import RAMPED, figures_of_run
from density.controller.session import Session, new_run_id
from density.controller.versus.subjects import alone
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.state import RunState


async def measure_ramps(
    profile: Profile,
    subjects: Sequence[Subject],
    figures: Figures,
    say: Callable[[str], None],
    *,
    run_dir: Path,
) -> tuple[bool, tuple[str, ...]]:
    """Ramp one subject after the other: runs with ids and records of their own, each in a directory in `run_dir`.

    Returns:
        Whether the person asked for the end, and names of what could not be removed.
    """
    left: list[str] = []
    for subject in subjects:
        if subject.missing:
            continue
        say(f"ramp of {subject.name}")
        state, mine = RunState(), alone(profile, subject.workload)
        session = Session(run_id=new_run_id(time.time()), run_dir=run_dir / subject.name, told=say)
        ended = await session.run(mine, state, [])
        if state.torn_down:
            left += state.torn_down.left
        if ended.interrupted:
            return True, tuple(left)
        if ended.problem:
            for row, name in RAMPED:
                figures.miss(row, name, subject.name, str(ended.problem))
        else:
            figures.found += figures_of_run(state, bounds_of(mine), subject.name)
    return False, tuple(left)
