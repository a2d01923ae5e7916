"""What earlier runs have found out that still holds: what an instance costs, and how VMs boot here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from density.errors import DensityError, RecordError
from density.events import RunStarted, WorkloadPrepared
from density.model import Workload
from density.profile.spec import Profile
from density.record.reader import read_events
from density.record.result import read_result
from density.state import RunState

RECORD, RESULT = "run.sqlite", "result.json"
LOOKED_AT = 50
"""Of the newest runs; older ones say little of the host as it is."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run that measured the profile's instances.

    Attributes:
        networks: bridge devices that the instances were plugged into: device -> usable addresses (0: no limit).
    """

    run_id: str
    state: RunState
    networks: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Booted:
    """How VMs came up in the newest run that had any; `why` is what it said where that was by emulation."""

    run_id: str
    accelerator: str
    why: str = ""


def last_measured(profile: Profile, runs_dir: Path) -> Earlier | None:
    """The last run of this profile, with workloads as they are now, that came to rest after a wave at least twice."""
    for run in _newest(runs_dir):
        try:
            if _is_of(profile, run / RECORD):
                found = _replayed(run)
                if len(found.state.rests) > 1:
                    return found
        except DensityError:
            continue  # a record of another version, or a damaged one
    return None


def last_booted(runs_dir: Path) -> Booted | None:
    """How VMs boot on this host, from the results of earlier runs; None where none had any."""
    for run in _newest(runs_dir):
        try:
            result = read_result(run / RESULT)
        except (FileNotFoundError, RecordError):
            continue
        if result.host.accelerator:
            why = next((text for text in result.warnings if "KVM" in text), "")
            return Booted(run.name, result.host.accelerator, why)
    return None


def _newest(runs_dir: Path) -> Iterator[Path]:
    """Run ids begin with their time."""
    try:
        found = sorted((path for path in runs_dir.iterdir() if (path / RECORD).is_file()), reverse=True)
    except OSError:
        return iter(())
    return islice(found, LOOKED_AT)


def _is_of(profile: Profile, record: Path) -> bool:
    started = next(read_events(record), None)
    if not isinstance(started, RunStarted) or started.profile_name != profile.name:
        return False
    return _alike(started.workloads) == _alike(profile.workloads)


def _alike(workloads: Sequence[Workload]) -> dict[str, Workload]:
    """Shares, and how long to wait, change nothing of what an instance costs."""
    return {each.name: replace(each, share=1.0, ready_timeout_seconds=0.0) for each in workloads}


def _replayed(run: Path) -> Earlier:
    state = RunState()
    networks: dict[str, int] = {}
    for event in read_events(run / RECORD):
        state.apply(event)
        if isinstance(event, WorkloadPrepared):
            networks.update(event.networks)
    return Earlier(run.name, state, networks)
