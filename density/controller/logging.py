"""The events of a run in its log, as far as they are not a sample of every second: those are in the record."""

from collections.abc import Mapping, Sequence
from typing import Any

from density.events import (
    EngineFound,
    Event,
    Forecasted,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    TesterMeasured,
    Warned,
)
from density.log import logger

log = logger("density.run")
NEAREST = 5
"""Ceilings of a forecast that are written."""
_FACTS: Mapping[str, Sequence[str]] = {
    "run_started": ("run_id", "density_version", "profile_name", "until", "max_instances"),
    "stage_entered": ("stage",),
    "workload_prepared": ("workload", "accelerator", "seconds"),
    "workload_skipped": ("workload", "reason"),
    "wave_started": ("wave", "sizes", "target"),
    "wave_settled": ("wave", "counts", "failed"),
    "stepped_back": ("sizes", "target"),
    "stopped": ("outcome", "reason", "ceiling", "subject"),
    "held": ("kept", "counts_after", "missed"),
    "stood_still": ("seconds", "cause"),
    "clock_stepped": ("wall", "seconds"),
    "torn_down": ("removed", "left", "seconds"),
}
"""Kind of event -> its fields that are written; of an event of no kind here, only that it came."""


class EventLog:
    """Sink: a line for each event that changes what a run does; failures and warnings as warnings."""

    def handle(self, event: Event) -> None:
        """Write it, if it is worth a line."""
        match event:
            case HostSampled() | ProbeMeasured() | TesterMeasured():
                return
            case InstanceChanged():
                _instance(event)
            case Warned():
                log.warning("warned", at=event.at, message=event.message)
            case _:
                log.info(event.kind, at=event.at, **_facts(event))


def _instance(event: InstanceChanged) -> None:
    facts = {"at": event.at, "instance": event.instance_id, "phase": event.phase.value}
    if event.failure is None:
        log.debug("instance", **facts, **event.details)
        return
    said = " / ".join(event.failure.evidence)
    log.warning("instance", **facts, kind=event.failure.kind, message=event.failure.message, said=said)


def _facts(event: Event) -> Mapping[str, Any]:
    if isinstance(event, EngineFound):
        return {"engine": event.engine.name, "version": event.engine.version, "endpoint": event.engine.endpoint}
    if isinstance(event, Forecasted):
        return {"nearest": {f"{each.ceiling} {each.subject}".rstrip(): each.count for each in event.ceilings[:NEAREST]}}
    return {name: getattr(event, name) for name in _FACTS.get(event.kind, ())}
