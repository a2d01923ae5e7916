"""Start, alone: one instance at a time on a host with nothing else of ours, the subjects in turn."""

from collections.abc import Callable

from density.capacity.versus.figure import Figures
from density.controller.versus.bed import Bed, Launched
from density.errors import DensityError

ROUNDS = 9
"""Nine give the median an exact 95 % interval (their second and eighth)."""


async def measure_start(bed: Bed, figures: Figures, say: Callable[[str], None]) -> None:
    """Launch each subject alone, again and again; the first of each warms caches and is left out."""
    found: dict[str, list[Launched]] = {subject.name: [] for subject in bed.subjects if not subject.missing}
    for number in range(ROUNDS + 1):
        say(f"start, alone: {number} of {ROUNDS}")
        for subject in bed.subjects:
            if subject.name not in found:
                continue
            try:
                (launched,) = await bed.launch_many(subject.workload, 1)
                await bed.stop(subject.workload, [launched])
            except DensityError as error:  # it does not come up, or its engine went away: the others go on
                figures.miss("start", "", subject.name, str(error))
                del found[subject.name]
                continue
            if number:
                found[subject.name].append(launched)
    for name, launches in found.items():
        for phase in ("created", "started", "ready"):
            seconds = [getattr(each, f"{phase}_seconds") for each in launches]
            figures.add("start", f"alone.{phase}", name, seconds, unit="seconds")
