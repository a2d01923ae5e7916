"""The limits of one living instance, read from recorded trees of both versions of cgroups."""

from pathlib import Path

import pytest

from density.host.leaf import Leaf, files_limit, read_leaf

MIB = 2**20
V2 = {
    "proc/self/mountinfo": "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
    "proc/7/cgroup": "0::/run.slice/docker-c0ffee.scope\n",
    "proc/7/limits": "Limit          Soft Limit  Hard Limit  Units\nMax open files 64          128         files\n",
    "cg/cgroup.controllers": "cpu memory pids\n",
    "cg/run.slice/docker-c0ffee.scope/memory.current": f"{63 * MIB}\n",
    "cg/run.slice/docker-c0ffee.scope/memory.max": f"{64 * MIB}\n",
    "cg/run.slice/docker-c0ffee.scope/memory.events": "low 0\nhigh 0\nmax 41\noom 2\noom_kill 1\n",
    "cg/run.slice/docker-c0ffee.scope/pids.current": "39\n",
    "cg/run.slice/docker-c0ffee.scope/pids.max": "40\n",
    "cg/run.slice/docker-c0ffee.scope/pids.events": "max 3\n",
    "cg/run.slice/docker-c0ffee.scope/cpu.max": "50000 100000\n",
    "cg/run.slice/docker-c0ffee.scope/cpu.stat": "usage_usec 9\nnr_periods 100\nnr_throttled 90\nthrottled_usec 5\n",
}
V1 = {
    "proc/self/mountinfo": (
        "30 23 0:26 / /cg/memory rw - cgroup cgroup rw,memory\n"
        "31 23 0:27 / /cg/pids rw - cgroup cgroup rw,pids\n"
        "32 23 0:28 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    ),
    "proc/7/cgroup": "3:memory:/run/c0ffee\n2:pids:/run/c0ffee\n1:cpu,cpuacct:/run/c0ffee\n",
    "proc/7/limits": V2["proc/7/limits"],
    "cg/memory/run/c0ffee/memory.usage_in_bytes": f"{63 * MIB}\n",
    "cg/memory/run/c0ffee/memory.limit_in_bytes": f"{64 * MIB}\n",
    "cg/memory/run/c0ffee/memory.failcnt": "41\n",
    "cg/pids/run/c0ffee/pids.current": "39\n",
    "cg/pids/run/c0ffee/pids.max": "40\n",
    "cg/pids/run/c0ffee/pids.events": "max 3\n",
    "cg/cpu/run/c0ffee/cpu.cfs_quota_us": "50000\n",
    "cg/cpu/run/c0ffee/cpu.cfs_period_us": "100000\n",
    "cg/cpu/run/c0ffee/cpu.stat": "nr_periods 100\nnr_throttled 90\nthrottled_time 5\n",
}
LEAF = Leaf(63 * MIB, 64 * MIB, 41, 39, 40, 3, 0.5, 90, 100, files=2, files_limit=64)


@pytest.mark.parametrize("tree", [V1, V2], ids=["v1", "v2"])
def test_limits_and_counters_are_read(tree: dict[str, str], tmp_path: Path) -> None:
    """Both versions say the same of memory, tasks, CPU time and open files."""
    for name, text in tree.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "proc/7/fd").mkdir()
    for number in ("0", "1"):
        (tmp_path / "proc/7/fd" / number).touch()
    assert read_leaf(7, tmp_path) == LEAF


def test_a_process_that_is_gone_has_nothing(tmp_path: Path) -> None:
    """It may end while it is looked at; then nothing is known, and nothing breaks."""
    assert read_leaf(7, tmp_path) == Leaf()
    assert files_limit(0, tmp_path) == 0
