"""Putting a process into the slice where its engine does not."""

from collections.abc import Iterable
from pathlib import Path

from density.host.hierarchies import find_hierarchies, parse_membership


def place(pid: int, procs_files: Iterable[str], *, root: Path = Path("/")) -> None:
    """Move a process, with all its threads, into the slice in those hierarchies in which it is not there yet.

    On cgroup v1 libvirt places a VM for memory, cpu, cpuset, freezer and blkio only; pids and cpuacct are left to this.

    Raises:
        OSError: the process is gone, or the slice is.
    """
    members = parse_membership((root / "proc" / str(pid) / "cgroup").read_text())
    homes = {hierarchy.directory: hierarchy for hierarchy in find_hierarchies(root)}
    for file in map(Path, procs_files):
        home = next((homes[parent] for parent in file.parents if parent in homes), None)
        if home is None:
            continue
        top = "/" + file.relative_to(home.directory).parts[0]
        cgroup = members.get(home.key, "")
        if cgroup != top and not cgroup.startswith(f"{top}/"):
            file.write_text(str(pid))
