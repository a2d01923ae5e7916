"""The limits that a process itself lives under: a systemd unit's TasksMax, a container's memory limit.

A container's shim lives where its daemon does, so a unit's TasksMax can end a ramp too.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from density.host.hierarchies import Hierarchy, find_hierarchies, parse_membership
from density.host.reading import HotFile, Unavailable, parse_limit

_FILES = {
    ("tasks", 1): ("pids", "pids.current", "pids.max"),
    ("tasks", 2): ("pids", "pids.current", "pids.max"),
    ("memory", 1): ("memory", "memory.usage_in_bytes", "memory.limit_in_bytes"),
    ("memory", 2): ("memory", "memory.current", "memory.max"),
}


class OwnSensor:
    """`PREFIX.tasks`, `PREFIX.tasks_limit`, `PREFIX.memory_bytes`, `PREFIX.memory_limit_bytes` of a process's cgroups.

    Of all its ancestors with a limit, the one with the least room left; nothing where none has a limit. Which ancestors
    have one is looked up once.

    Args:
        prefix: of the names.
        pid: a process id, or `self`.
        root: the host's root directory.

    Raises:
        Unavailable: cgroups cannot be seen, or the process is gone.
    """

    def __init__(self, prefix: str, pid: int | str, root: Path) -> None:
        try:
            members = parse_membership((root / "proc" / str(pid) / "cgroup").read_text())
        except OSError as error:
            raise Unavailable(f"/proc/{pid}/cgroup: {error.strerror}") from error
        self._levels: list[tuple[str, str, HotFile, HotFile]] = []
        self._limited: set[Path] = set()
        for hierarchy in find_hierarchies(root):
            for kind, unit in (("tasks", ""), ("memory", "_bytes")):
                controller, used, limit = _FILES[kind, hierarchy.version]
                if controller in hierarchy.controllers:
                    names = (f"{prefix}.{kind}{unit}", f"{prefix}.{kind}_limit{unit}")
                    for directory in ancestors(hierarchy, members.get(hierarchy.key, "/")):
                        self._add(*names, directory / used, directory / limit)

    @property
    def limited(self) -> frozenset[Path]:
        """The cgroups whose limits are read: processes that have them in common share these limits."""
        return frozenset(self._limited)

    def read(self) -> Mapping[str, float]:
        """The values now."""
        values: dict[str, float] = {}
        for used_name, limit_name, used_file, limit_file in self._levels:
            limit = parse_limit(limit_file.read())
            if limit is None:
                continue
            used = float(used_file.read())
            if limit - used < values.get(limit_name, float("inf")) - values.get(used_name, 0.0):
                values |= {used_name: used, limit_name: limit}
        return values

    def _add(self, used_name: str, limit_name: str, used: Path, limit: Path) -> None:
        try:
            limit_file = HotFile(limit)
            if parse_limit(limit_file.read()) is not None:
                self._levels.append((used_name, limit_name, HotFile(used), limit_file))
                self._limited.add(limit.parent)
        except Unavailable:
            return  # the top of a hierarchy has no such files


def ancestors(hierarchy: Hierarchy, cgroup: str) -> Iterator[Path]:
    """Directories of a cgroup and of what it is in, as far as they can be seen here, innermost first."""
    inside = Path(cgroup)
    top = Path(hierarchy.top)
    if not inside.is_relative_to(top):
        return
    relative = inside.relative_to(top)
    for parent in (relative, *relative.parents):
        yield hierarchy.directory / parent
