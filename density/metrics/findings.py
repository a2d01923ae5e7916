"""What a run has found out so far: capacities, footprints, the verdict; at the end the same as `result.json` says.

They change when a wave has settled and when the run goes on to another stage, and fitting them takes longer than all
the rest of a scrape (0.3 s after 50 waves). So they are kept until then, and the work is done in the thread that serves
the scrape: `due` copies in the event loop's thread what `learn` then computes in another.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import NamedTuple

from density.capacity.capacities import Capacity, capacities
from density.capacity.footprint import Line
from density.capacity.forecast import outlook
from density.capacity.outlook import Key
from density.capacity.split import split_memory
from density.ceilings.judge import Verdict, judge
from density.ceilings.reading import Bounds
from density.metrics.current import bounds_of_run
from density.state import RunState


class Footprint(NamedTuple):
    """What one more instance takes, with its 95 % interval, in the unit of the ceiling (parts of the memory: bytes)."""

    value: float
    low: float
    high: float


class Findings(NamedTuple):
    """What was found out.

    Attributes:
        capacity: by kind: `hard` and `slo` once a wave has settled, `recommended` once it was held, or at the end.
        footprints: by workload and resource, the latter named as in `result.json`.
        verdict: None until a ceiling has stopped the ramp.
    """

    capacity: Mapping[str, Capacity] = {}
    footprints: Mapping[tuple[str, str], Footprint] = {}
    verdict: Verdict | None = None


class Finder:
    """Keeps the findings of one run.

    Attributes:
        latest: what `learn` found last.
    """

    def __init__(self) -> None:
        self.latest = Findings()
        self._learned: tuple[object, ...] = ()
        self._lock = Lock()

    def urgent(self, state: RunState) -> bool:
        """Whether what is due should be learned before `latest` is shown: there is nothing yet, or nothing follows."""
        return not self._learned or state.stage == "done"

    def due(self, state: RunState) -> RunState | None:
        """A copy to learn from, None where `latest` still holds; call it in the thread that changes the state."""
        return None if not state.run_id or _moment(state) == self._learned else _still(state)

    def learn(self, state: RunState) -> None:
        """Find out what this state says; call it in any thread, with a state that nobody changes."""
        with self._lock:
            if _moment(state) != self._learned:
                self.latest, self._learned = find(state), _moment(state)


def find(state: RunState) -> Findings:
    """The findings from this state."""
    bounds = bounds_of_run(state)
    workloads = [workload.workload for workload in state.workloads.values()]
    known = outlook(state, values=state.values(), workloads=workloads, bounds=bounds)
    resources = {_resource(key): line for key, line in known.lines.items()} | split_memory(state, workloads)
    verdict = judge(state, bounds, known.costs(), known.typical)
    return Findings(_capacity(state, bounds), _footprints(resources), verdict)


def _moment(state: RunState) -> tuple[object, ...]:
    """Changes whenever the findings may; comparing two costs nothing, as what did not change is the same object."""
    return len(state.settled), state.forecast, state.outcome, state.held, state.stage


def _still(state: RunState) -> RunState:
    """A copy of what the findings are read from, which the next events leave alone."""
    still = copy.copy(state)
    still.rests, still.settled, still.holds = [*state.rests], [*state.settled], [*state.holds]
    still.samples_in_wave = state.samples_in_wave.copy()
    still.ended_in_wave = state.ended_in_wave.copy()
    still.workloads = {
        name: replace(workload, evidence=workload.evidence.copy()) for name, workload in state.workloads.items()
    }
    still.failed_in_wave, still.lost_in_wave = state.failed_in_wave.copy(), state.lost_in_wave.copy()
    still.probes = {name: probes.copy() for name, probes in state.probes.items()}
    still.addresses = {**state.addresses}
    return still


def _capacity(state: RunState, bounds: Bounds) -> dict[str, Capacity]:
    done = state.stage == "done"
    if not state.settled and not done:
        return {}
    found = capacities(state, bounds)
    kinds = {"hard": found.hard, "slo": found.slo, "recommended": found.recommended}
    return {name: capacity for name, capacity in kinds.items() if capacity.is_known}


def _footprints(lines: Mapping[str, Line]) -> dict[tuple[str, str], Footprint]:
    return {
        (workload, resource): Footprint(*costs)
        for resource, line in lines.items()
        for workload, costs in line.footprint().items()
    }


def _resource(key: Key) -> str:
    """`files.process[dockerd]`."""
    ceiling, subject = key
    return f"{ceiling}[{subject}]" if subject else ceiling
