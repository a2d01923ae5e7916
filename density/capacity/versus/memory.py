"""What one more instance takes of the memory, in all and by part; pure."""

from dataclasses import dataclass

from density.capacity.footprint import Line
from density.capacity.forecast import outlook
from density.capacity.split import split_memory
from density.ceilings.reading import Bounds
from density.state import RunState

TOTAL = ("memory.available", "")
"""The ceiling whose line is what one more takes in all."""
PARTS = ("instance", "engine", "kernel")
"""As in `density.capacity.split`, without the tester's."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes that one more takes, with the 95 % interval."""

    value: float = 0.0
    low: float = 0.0
    high: float = 0.0

    @property
    def known(self) -> bool:
        """Whether it can be told from noise."""
        return self.low > 0


def memory_costs(state: RunState, bounds: Bounds) -> dict[str, Cost]:
    """`total` and each of `PARTS`, of a run with one workload."""
    workloads = [workload.workload for workload in state.workloads.values()]
    known = outlook(state, values=state.values(), workloads=workloads, bounds=bounds)
    split = split_memory(state, workloads)
    lines = {"total": known.lines.get(TOTAL), **{part: split.get(f"memory.{part}") for part in PARTS}}
    return {name: _cost(fitted) for name, fitted in lines.items()}


def _cost(fitted: Line | None) -> Cost:
    return Cost(*next(iter(fitted.footprint().values()))) if fitted else Cost()
