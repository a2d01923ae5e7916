"""What a host keeps of containers beside what an engine lists: cgroups in a slice, and mounts.

A container is known by the first 12 letters of its id, as in a run's record. Docker names some of its mounts after
other things than the container, which it forgets with it: so those names are asked for before it removes anything.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from density.host.hierarchies import find_hierarchies
from density.host.slice import slice_name

SHORT = 12
"""Letters of a container's id by which a run's record, and people, know it."""
_CGROUP = re.compile(r"(?:[a-z]+-)?([0-9a-f]{64})(?:\.scope)?")
"""Of a container: by cgroupfs its id, by systemd also which runtime made it, such as `docker-ID.scope`."""
_ID = re.compile(r"[0-9a-f]{64}")
_SANDBOX = re.compile(r'"SandboxKey":"[^"]*/([0-9a-f]+)"')
_DOCKER = "var/lib/docker"


def in_slice(run_id: str, root: Path) -> set[str]:
    """The containers that have a cgroup in a run's slice. Blocks."""
    names = (f"{slice_name(run_id)}.{suffix}" for suffix in ("partition", "slice"))
    directories = [each.directory / name for name in names for each in find_hierarchies(root)]
    found = (_CGROUP.fullmatch(path.name) for directory in directories for path in _entries(directory))
    return {each[1][:SHORT] for each in found if each}


def names_of(containers: Collection[str], root: Path) -> set[str]:
    """What mounts of these containers are named after: their ids, overlay2's layers, network namespaces. Blocks."""
    found = set(containers)
    for mounts in (root / _DOCKER / "image").glob("*/layerdb/mounts"):
        found.update(_read(path / "mount-id") for path in _of(containers, mounts))
    for path in _of(containers, root / _DOCKER / "containers"):
        found.update(_SANDBOX.findall(_read(path / "config.v2.json")))
    return found - {""}


def mounted(names: Collection[str], root: Path) -> dict[str, str]:
    """Where something with one of these names in its path is mounted, sorted: place -> name. Blocks."""
    lines = (line.split() for line in _read(root / "proc/self/mountinfo").splitlines())
    points = sorted({words[4] for words in lines if len(words) > 4})
    named = ((point, _name_in(point, names)) for point in points)
    return {point: name for point, name in named if name}


def _name_in(point: str, names: Collection[str]) -> str:
    parts = (part[:SHORT] if _ID.fullmatch(part) and part not in names else part for part in point.split("/"))
    return next((part for part in parts if part in names), "")


def _of(containers: Collection[str], directory: Path) -> Iterator[Path]:
    return (path for path in _entries(directory) if path.name[:SHORT] in containers)


def _entries(directory: Path) -> list[Path]:
    with suppress(OSError):
        return list(directory.iterdir())
    return []


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""
