"""What density itself takes of what ceilings count: it is part of their use, and no cost of an instance."""

import math
from collections.abc import Mapping

OWN: Mapping[str, str] = {
    "memory.available": "tester.rss_bytes",
    "memory.commit": "tester.committed_bytes",
    "tasks.pid_max": "tester.threads",
    "tasks.threads_max": "tester.threads",
    "files.file_max": "tester.fds",
}
"""Ceiling -> the value of density's process that is part of its use."""
UNIT: Mapping[str, str] = {"memory.cgroup": "tester.rss_bytes", "tasks.cgroup": "tester.threads"}
"""The same for the ceilings of the unit that density lives in; the slice and the daemons' units have none of it."""
SHARED: Mapping[str, str] = {
    "inotify.instances": "inotify.{}.shared_instances_count",
    "inotify.watches": "inotify.{}.shared_watches_count",
}
"""The same for each user: with it what an engine's daemon holds while density follows logs."""


def overhead(key: tuple[str, str], values: Mapping[str, float]) -> float:
    """What is density's of the use of a ceiling (id, subject); 0 where nothing is, or where it is not measured."""
    found = values.get(_name(*key), 0.0)
    return found if math.isfinite(found) else 0.0


def _name(ceiling: str, subject: str) -> str:
    """Of the value; empty where nothing of this ceiling is density's."""
    if ceiling in SHARED:
        return SHARED[ceiling].format(subject)
    if ceiling in UNIT:
        return UNIT[ceiling] if subject == "tester" else ""
    return OWN.get(ceiling, "")
