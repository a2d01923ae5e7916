"""What a run missed of what was asked of it, one sentence each: the reasons for exit code 3."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from density.capacity.deaths import Deaths
from density.ceilings.catalog import BY_ID
from density.ceilings.catalog.objectives import TESTER_LAG
from density.report.facts import how_found
from density.units import format_count


def missed(document: Mapping[str, Any]) -> Iterator[str]:
    """From the result of a run that came to its end.

    An objective that ends a ramp is how the run finds its slo capacity, so that alone is no failure. It is one where a
    required capacity is not reached, or where no count at all kept every objective, be it at rest or through a hold, or
    where there was no room for one, or where every instance of a workload died.
    """
    yield from _died_out(document)
    for each in document["required"]:
        if not each["met"]:
            yield _too_few(each, document["capacity"][each["name"]])
    ready = sum(workload["ready"] for workload in document["workloads"].values())
    if document["outcome"] == "ceiling" and not ready:
        yield f"not even one instance could run: {document['reason']}"
    if ready and document["capacity"]["hard"]["count"] and document["capacity"]["slo"]["count"] == 0:
        yield f"no count kept every objective; the run ended because {document['reason']}"
    elif document["capacity"]["recommended"]["kind"] == "not sustained" and _is_missed(document["holds"][-1:]):
        yield f"no count met the objectives: {document['capacity']['recommended']['why']}"


def _is_missed(holds: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of these holds failed by an objective, and not because density itself was late."""
    ceilings = {ceiling for held in holds for ceiling in held["ceilings"]}
    return any(BY_ID[each].soft for each in ceilings) and TESTER_LAG not in ceilings


def _died_out(document: Mapping[str, Any]) -> Iterator[str]:
    """Workloads of which no instance stayed alive, each with what its first one printed last."""
    for name, workload in document["workloads"].items():
        died = workload["deaths"]
        if died["all"]:
            endings, lines = died["endings"], tuple(died["last_lines"])
            said = Deaths(name, workload["ready"], workload["lost"], total=True, endings=endings, last_lines=lines)
            yield "".join((said.sentence, *(f"\n  | {line}" for line in lines)))


def _too_few(required: Mapping[str, Any], capacity: Mapping[str, Any]) -> str:
    wanted, found = required["wanted"], required["found"]
    if capacity["count"] is None:
        return f"{required['name']} = {format_count(wanted)} is required, and it was {capacity['kind']}"
    short = f"{format_count(wanted - found)} too few ({(wanted - found) / wanted:.1%})"
    how = how_found(capacity)
    return f"{required['name']} = {format_count(wanted)} is required, found {format_count(found)}{how}: {short}"
