"""Instances that died after they were ready: how many of a workload, how, and whether any was left."""

from collections.abc import Mapping
from dataclasses import dataclass

from density.model import LEASE
from density.state import RunState, WorkloadState


@dataclass(frozen=True, slots=True)
class Deaths:
    """What became of one workload's ready instances.

    Attributes:
        ready: instances that became ready; count: those of them that died by themselves.
        total: none was left, beside those that the run itself removed.
        endings: how they ended -> how many, the most frequent first.
        last_lines: what the first of them printed last.
    """

    workload: str
    ready: int
    count: int
    total: bool
    endings: Mapping[str, int]
    last_lines: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """`4 of 4 web exited (code 1) after they were ready`."""
        return f"{self.count:,} of {self.ready:,} {self.workload} {self.how}"

    @property
    def how(self) -> str:
        """`exited (code 1) after they were ready`."""
        after = f"after {'it was' if self.count == 1 else 'they were'} ready"
        if len(self.endings) == 1:
            return f"{next(iter(self.endings))} {after}"
        ways = ", ".join(f"{count:,} {ending}" for ending, count in self.endings.items())
        return f"died {after}{': ' if ways else ''}{ways}"


def deaths(state: RunState) -> list[Deaths]:
    """Of each workload of which an instance died."""
    alive = state.alive_by_workload if state.alive_at_end is None else state.alive_at_end
    return [
        Deaths(
            name, each.ready, each.lost, _is_total(each, alive.get(name, 0)), dict(each.endings.most_common()),
            each.last_lines,
        )
        for name, each in state.workloads.items() if each.lost
    ]  # fmt: skip


def died_out(state: RunState) -> list[Deaths]:
    """Of each workload of which no instance was left: no count of it can be recommended."""
    return [each for each in deaths(state) if each.total]


def _is_total(workload: WorkloadState, alive: int) -> bool:
    """Most died, and none is left; where the run removed most of them, the rest may have died by chance.

    Those whose lease density did not renew say nothing of the count.
    """
    by_lease = workload.failures[LEASE].count if LEASE in workload.failures else 0
    return not alive and 2 * (workload.lost - by_lease) > workload.ready
