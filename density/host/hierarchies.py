"""Where the kernel's cgroup hierarchies are mounted, and which cgroup a process is in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

V1_CONTROLLERS = frozenset(
    {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio", "perf_event",
     "hugetlb", "rdma", "misc"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup hierarchy.

    Attributes:
        directory: where it is mounted, below the root that was given.
        top: the cgroup that this directory is; `/` unless only a part of the hierarchy is mounted.
        controllers: what is accounted in it; empty for v1's named ones and for a v2 mount beside v1.
        version: of the cgroup interface.
        key: where `parse_membership` files this hierarchy: a controller, `name=NAME`, or empty for v2.
    """

    directory: Path
    top: str
    controllers: frozenset[str]
    version: Literal[1, 2]
    key: str


@dataclass(frozen=True, slots=True)
class SlicePaths:
    """Where a slice's values are read.

    Attributes:
        version: of the cgroup interface that holds the limits.
        controllers: controller (`memory`, `pids`, `cpu`, `cpuacct`) -> the slice's directory; one for all on v2.
        unified: the slice's directory under a v2 mount, which alone has pressure files; None without one.
    """

    version: Literal[1, 2]
    controllers: Mapping[str, Path]
    unified: Path | None = None


def parse_mountinfo(text: str, root: Path) -> list[Hierarchy]:
    """Hierarchies from /proc/self/mountinfo, v2 without its controllers (those are in a file)."""
    found: dict[Path, Hierarchy] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")[:3] if after.count(" ") >= 2 else ("", "", "")
        if kind not in {"cgroup", "cgroup2"}:
            continue
        top, mount = before.split(" ")[3:5]
        directory = root / mount.lstrip("/")
        words = options.split(",") if kind == "cgroup" else []
        controllers = frozenset(words) & V1_CONTROLLERS
        key = min(controllers, default=next((word for word in words if word.startswith("name=")), ""))
        found.setdefault(directory, Hierarchy(directory, top, controllers, 2 if kind == "cgroup2" else 1, key))
    return list(found.values())


def parse_membership(text: str) -> dict[str, str]:
    """From /proc/PID/cgroup: controller (empty for v2) -> cgroup."""
    members: dict[str, str] = {}
    for line in text.splitlines():
        number, controllers, cgroup = line.split(":", 2)
        for controller in controllers.split(","):
            if controller or number == "0":
                members[controller] = cgroup
    return members


def find_hierarchies(root: Path) -> tuple[Hierarchy, ...]:
    """The hierarchies mounted on this host, the one that accounts memory first; none where cgroups cannot be seen."""
    try:
        text = (root / "proc/self/mountinfo").read_text()
    except OSError:
        return ()
    found = [_with_controllers(hierarchy) for hierarchy in parse_mountinfo(text, root)]
    return tuple(sorted(found, key=lambda each: ("memory" not in each.controllers, str(each.directory))))


def cgroup_version(hierarchies: tuple[Hierarchy, ...]) -> Literal[0, 1, 2]:
    """The version of the hierarchy that accounts memory; 0 where none does."""
    return hierarchies[0].version if hierarchies and "memory" in hierarchies[0].controllers else 0


def slice_paths(hierarchies: tuple[Hierarchy, ...], name: str) -> SlicePaths:
    """Where the values of a cgroup directly below the top are, in the hierarchies that have it."""
    controllers: dict[str, Path] = {}
    unified = None
    for hierarchy in hierarchies:
        directory = hierarchy.directory / name
        if directory.is_dir():
            controllers |= dict.fromkeys(hierarchy.controllers, directory)
            unified = directory if hierarchy.version == 2 else unified
    return SlicePaths(2 if cgroup_version(hierarchies) == 2 else 1, controllers, unified)


def _with_controllers(hierarchy: Hierarchy) -> Hierarchy:
    if hierarchy.version == 1:
        return hierarchy
    try:
        controllers = frozenset((hierarchy.directory / "cgroup.controllers").read_text().split())
    except OSError:
        controllers = frozenset()
    return replace(hierarchy, controllers=controllers)
