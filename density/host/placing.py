"""Putting a process into the slice where its engine does not, and holding a limit where the kernel does not."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from density.errors import DensityError
from density.host.hierarchies import Hierarchy, find_hierarchies, parse_membership
from density.host.reading import parse_limit
from density.host.slice_directories import count_tasks


class SliceFull(DensityError):
    """A process was moved into a slice that has more tasks with it than it may."""


def place(pid: int, procs_files: Iterable[str], *, root: Path = Path("/")) -> None:
    """Move a process, with all its threads, into the slice in those hierarchies in which it is not there yet.

    On cgroup v1 libvirt places a VM for memory, cpu, cpuset, freezer and blkio only; pids and cpuacct are left to this.

    Raises:
        OSError: the process is gone, or the slice is.
    """
    members = parse_membership((root / "proc" / str(pid) / "cgroup").read_text())
    for home, file, top in _homes(procs_files, root):
        cgroup = members.get(home.key, "")
        if cgroup != f"/{top.name}" and not cgroup.startswith(f"/{top.name}/"):
            file.write_text(str(pid))


def refuse_surplus(procs_files: Iterable[str], *, root: Path = Path("/")) -> None:
    """Make sure that the slice has no more tasks than it may: the kernel refuses forks, but never what is moved in.

    Only the living count: the kernel's own number has those too that ended and whose parent has not asked yet.

    Raises:
        SliceFull: it has; whoever moved the last one in has to end it.
    """
    for home, _, top in _homes(procs_files, root):
        if "pids" not in home.controllers:
            continue
        with suppress(OSError):
            limit, tasks = parse_limit((top / "pids.max").read_text()), int((top / "pids.current").read_text())
            if limit is not None and tasks > limit and (tasks := count_tasks(top)) > limit:
                raise SliceFull(f"slice.tasks allows {limit:.0f} tasks, and there were {tasks} with this instance")


def _homes(procs_files: Iterable[str], root: Path) -> Iterator[tuple[Hierarchy, Path, Path]]:
    """The hierarchy of each of these files, the file, and the slice's directory in that hierarchy."""
    known = {hierarchy.directory: hierarchy for hierarchy in find_hierarchies(root)}
    for file in map(Path, procs_files):
        if home := next((known[parent] for parent in file.parents if parent in known), None):
            yield home, file, home.directory / file.relative_to(home.directory).parts[0]
