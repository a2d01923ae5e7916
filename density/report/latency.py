"""Latency against count in words: where it has a knee, or up to which count it has none."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from density.units import format_count, format_seconds

Document = dict[str, Any]
_LATENCIES = {"ready": "median time to ready", "probe": "median ping"}
_ONE = {"docker": "a container", "libvirt": "a VM", "native": "a process"}
_NOTHING = 1e-6
"""Seconds an instance that are not worth telling from none."""


def latency_rows(workloads: Mapping[str, Document]) -> Iterator[tuple[str, Text]]:
    """Rows for the summary: one for each knee, or one that says of what there is none; none where nothing is known."""
    knees = list(_knees(workloads))
    for index, line in enumerate(knees):
        yield "" if index else "latency", Text(line)
    if not knees and (known := _without(workloads)):
        yield "latency", Text(known)


def _knees(workloads: Mapping[str, Document]) -> Iterator[str]:
    for name, workload in workloads.items():
        of = f"{name} " if len(workloads) > 1 else ""
        for kind, words in _LATENCIES.items():
            found = workload["latency"][kind]
            if found["shape"] == "knee":
                where = (
                    f"{format_count(found['count'])} ({format_count(found['low'])} to {format_count(found['high'])})"
                )
                yield f"{of}{words}: knee at {where}: {_slopes(found, _ONE.get(workload['engine'], 'an instance'))}"


def _slopes(found: Document, one: str) -> str:
    before, after = found["before_seconds"], found["after_seconds"]
    if before < _NOTHING:
        return f"flat before, {format_seconds(after)} {one} after"
    return f"{format_seconds(before)} {one} before, {format_seconds(after)} after"


def _without(workloads: Mapping[str, Document]) -> str:
    """`no knee in median time to ready and median ping up to 2,474`."""
    found = [(words, each["latency"][kind]) for kind, words in _LATENCIES.items() for each in workloads.values()]
    known = [(words, latency) for words, latency in found if latency["shape"] != "unknown"]
    if not known:
        return ""
    most = max(latency["up_to"] for _, latency in known)
    return f"no knee in {' and '.join(dict.fromkeys(words for words, _ in known))} up to {format_count(most)}"
