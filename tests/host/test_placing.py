"""Who is in the slice, and whether a limit holds there that the kernel does not hold when a process is moved in."""

from pathlib import Path

import pytest

from density.host.placing import SliceFull, place, refuse_surplus

V1 = """30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
32 25 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
"""
V2 = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
SLICE = "density202601010000000000.partition"


def _host(root: Path, mounts: str, membership: str, *, tasks: str, limit: str, living: int = 0) -> list[str]:
    """A recorded host with a slice in each hierarchy, and process 7; the slice's `cgroup.procs` files."""
    files = {"proc/self/mountinfo": mounts, "proc/7/cgroup": membership}
    procs = []
    v2 = mounts == V2
    for line in mounts.splitlines():
        top = Path(line.split()[4].lstrip("/"))
        leaf = top / SLICE / ("processes" if v2 else "")
        procs.append(str(root / leaf / "cgroup.procs"))
        files[str(leaf / "cgroup.procs")] = ""
        if v2:
            files[str(top / "cgroup.controllers")] = "cpu memory pids"
        if v2 or top.name == "pids":
            files |= {str(top / SLICE / "pids.current"): tasks, str(top / SLICE / "pids.max"): limit}
            listed = "cgroup.threads" if v2 else "tasks"
            files[str(top / SLICE / listed)] = "".join(f"{pid}\n" for pid in range(living))
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return procs


@pytest.mark.parametrize("mounts", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize(
    ("tasks", "living", "limit", "full"),
    [("6", 6, "2", True), ("2", 2, "2", False), ("6", 6, "max", False), ("6", 2, "2", False)],
)
def test_more_tasks_than_the_slice_may_have(
    tmp_path: Path,
    mounts: str,
    tasks: str,
    living: int,
    limit: str,
    full: bool,  # noqa: FBT001 — a case
) -> None:
    """Whoever moves a process in has to look, on v1 and on v2; what has ended does not count."""
    procs = _host(tmp_path, mounts, "", tasks=tasks, limit=limit, living=living)
    if full:
        with pytest.raises(SliceFull, match="2 tasks, and there were 6"):
            refuse_surplus(procs, root=tmp_path)
    else:
        refuse_surplus(procs, root=tmp_path)


def test_a_vm_of_libvirts_is_moved_where_libvirt_did_not_put_it(tmp_path: Path) -> None:
    """On v1 libvirt places it for memory and cpu, not for pids: there it is moved, and nowhere else."""
    membership = f"1:memory:/{SLICE}/machine/vm\n2:pids:/\n3:cpu,cpuacct:/{SLICE}/machine/vm\n"
    procs = _host(tmp_path, V1, membership, tasks="0", limit="max")
    place(7, procs, root=tmp_path)
    assert {Path(file).parent.parent.name: Path(file).read_text() for file in procs} == {
        "memory": "",
        "pids": "7",
        "cpu": "",
    }
