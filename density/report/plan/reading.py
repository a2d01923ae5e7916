"""What runs say to a plan, read from their records."""

from collections.abc import Sequence
from pathlib import Path

from density.capacity.plan.measured import Measured, measure
from density.controller.paths import RECORD
from density.errors import UsageError
from density.metrics.current import bounds_of_run
from density.record import replay


def read_measured(run_dirs: Sequence[Path]) -> list[Measured]:
    """Each run's costs and limits.

    Raises:
        UsageError: no record there, one of another version, or a run that was cut off before anything came to rest.
        RecordError: a record is damaged.
    """
    found = []
    for run_dir in run_dirs:
        state = replay(run_dir / RECORD)
        if not state.rests:
            raise UsageError(f"{run_dir}: nothing came to rest in this run, so it measured no footprint")
        found.append(measure(state, bounds_of_run(state)))
    return found
