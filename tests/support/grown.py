"""What a host's values say of each ceiling, in SQL that knows nothing of density's own catalogue."""

import re
from collections.abc import Mapping

GROWN: Mapping[str, tuple[str, str | int, str | int]] = {
    "memory.available": ("{memory.total_bytes} - {memory.available_bytes}", "memory.total_bytes", "memory_bytes"),
    "memory.cgroup": ("{slice.memory_bytes} - {slice.inactive_file_bytes}", "slice.memory_limit_bytes", 0),
    "tasks.pid_max": ("{tasks.count}", "tasks.pid_max", "tasks"),
    "tasks.threads_max": ("{tasks.count}", "tasks.threads_max", "tasks"),
    "tasks.cgroup": ("{slice.tasks}", "slice.tasks_limit", 0),
    "maps.process": ("{daemon.*.maps_count}", "maps.limit", 1024),
    "files.file_max": ("{files.open}", "files.max", "files"),
    "files.process tester": ("{tester.fds}", "tester.fds_limit", 64),
    "files.process": ("{daemon.*.fds}", "daemon.*.fds_limit", 64),
    "inotify.instances": ("{inotify.*.instances_count}", "inotify.instances_limit", 8),
    "inotify.watches": ("{inotify.*.watches_count}", "inotify.watches_limit", 64),
    "disk.space": ("{disk.*.total_bytes} - {disk.*.available_bytes}", "disk.*.total_bytes", "disk_bytes"),
    "disk.inodes": ("{disk.*.inodes} - {disk.*.inodes_free}", "disk.*.inodes", "inodes"),
    "network.conntrack": ("{network.conntrack.count}", "network.conntrack.limit", 256),
    "network.ports": ("{network.ports.used_count}", "network.ports.limit", 256),
    "keys.user": ("{keys.*.count}", "keys.*.limit", 16),
    "keys.bytes": ("{keys.*.used_bytes}", "keys.*.limit_bytes", 1024),
    "mounts.namespace": ("{mounts.*.count}", "mounts.limit", 64),
    "namespaces.user": ("{namespaces.*.count}", "namespaces.*.limit", 16),
    "cgroups.memcg": ("{cgroups.memory_count}", 65535, 64),
    "aio.requests": ("{aio.requests_count}", "aio.requests_limit", 0),
    "ptys": ("{ptys.count}", "ptys.limit", 8),
    "libvirt.processes": ("{qemu.tasks_count}", "qemu.tasks_limit", 16),
    "engine.requests": ("{daemon.*.waiting_count}", "daemon.*.waiting_limit", 0),
}
"""Ceiling -> its use, its limit, and what is kept of it (a number, or the profile's own); `*` is the subject."""


def used(ceiling: str) -> str:
    """SQL for a ceiling's use in an event with values; of several that read the same, the first."""
    entry, subject = _entry(ceiling)
    return re.sub(r"{(.+?)}", lambda name: value(name[1].replace("*", subject)), entry[0])


def limit(ceiling: str) -> str | int:
    """The name of the value that is its limit, or the number itself."""
    entry, subject = _entry(ceiling)
    return entry[1].replace("*", subject) if isinstance(entry[1], str) else entry[1]


def reserve(ceiling: str) -> str | int:
    """What is kept of it: a field of the profile's reserve, or a number."""
    return _entry(ceiling)[0][2]


def value(name: str) -> str:
    """SQL for one value of an event."""
    return f"json_extract(body, '$.values.\"{name}\"')"


def _entry(ceiling: str) -> tuple[tuple[str, str | int, str | int], str]:
    name, _, subjects = ceiling.partition(" ")
    first = subjects.split(",")[0]
    return GROWN.get(f"{name} {first}") or GROWN[name], first
