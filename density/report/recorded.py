"""A run as its record tells it: the one source of every report."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from density.ceilings.catalog import BY_ID
from density.ceilings.reading import Bounds
from density.controller.paths import RECORD
from density.controller.session import RESULT
from density.errors import RecordError, UsageError
from density.metrics.current import bounds_of_run
from density.record import read_events
from density.record.result import read_result
from density.report.history import History, collect
from density.report.result import Document, result
from density.report.uses import Use, uses
from density.state import RunState


@dataclass(frozen=True)
class Recorded:
    """A run that was recorded, finished or not.

    Attributes:
        result: the document as `result.json` has it, made anew from the record.
    """

    state: RunState
    history: History
    bounds: Bounds
    result: Document

    @cached_property
    def uses(self) -> list[Use]:
        """How full each hard ceiling was, the fullest first; read anew from every sample, so only once."""
        return uses(self.history.samples, self.state.addresses, self.bounds)

    @property
    def binding(self) -> tuple[str, str] | None:
        """The hard ceiling that bound, with its subject; else the one that would first, by the last forecast."""
        verdict = self.result["verdict"]
        if verdict and not BY_ID[verdict["ceiling"]].soft:
            return verdict["ceiling"], verdict["subject"]
        nearest = self.state.forecast[0] if self.state.forecast else None
        return (nearest.ceiling, nearest.subject) if nearest and math.isfinite(nearest.count) else None

    @property
    def whole(self) -> bool:
        """Whether the record has the whole run; else it was cut off, goes on, or its disk was full."""
        return bool(self.result["record"]["complete"])


def read_run(run_dir: Path) -> Recorded:
    """Read a run's directory.

    Raises:
        UsageError: no record there, one of another version, or one that ends before the run began.
        RecordError: the record is damaged.
    """
    path = run_dir / RECORD
    state, history = collect(read_events(path))
    if not state.run_id:
        raise UsageError(f"{path}: the record is empty: the run was cut off before it began")
    bounds = bounds_of_run(state)
    document = result(state, bounds)
    if said := _extent(run_dir):
        document["record"] = said
    return Recorded(state, history, bounds, document)


def _extent(run_dir: Path) -> Document | None:
    """What the run itself said of events that its record lacks; None where it lacks none, or nothing was said."""
    try:
        said = read_result(run_dir / RESULT).record
    except (FileNotFoundError, RecordError):
        return None
    return said.model_dump(mode="json") if said and not said.complete else None
