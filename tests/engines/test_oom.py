"""Which ends the kernel's out-of-memory kills explain."""

import errno
import gc
import os
from pathlib import Path

import pytest

from density.engines.oom import OomKills
from density.host.oom import OomCounter, parse_oom_kills
from density.host.reading import Unavailable
from density.model import Placement


def test_oom_counts() -> None:
    """The count is read from the host's and from a v2 cgroup's file alike."""
    assert parse_oom_kills("pgfault 7\noom_kill 3\n") == 3
    assert parse_oom_kills("low 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n") == 1
    assert parse_oom_kills("") == 0


def test_oom_kill_explains_one_death(tmp_path: Path) -> None:
    """Each kill in the slice explains one instance's end and no second one; kills elsewhere explain none."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "proc/vmstat").write_text("oom_kill 50\n")
    directory = tmp_path / "cg/density1.partition"
    directory.mkdir(parents=True)
    (tmp_path / "cg/cgroup.controllers").write_text("memory pids\n")
    events = directory / "memory.events"
    events.write_text("oom_kill 4\n")
    placement = Placement(
        docker_parents={}, libvirt_partition="/density1", procs_files=(str(directory / "processes/cgroup.procs"),)
    )
    kills = OomKills(placement, root=tmp_path)
    assert not kills.spend()
    events.write_text("oom_kill 5\n")
    (tmp_path / "proc/vmstat").write_text("oom_kill 99\n")
    assert kills.spend()
    assert not kills.spend()


def test_a_kill_that_the_kernel_raises_six_times_is_one(tmp_path: Path) -> None:
    """The event of a v1 cgroup comes several times for one kill; the host's own count says how many there were."""
    (tmp_path / "proc").mkdir()
    vmstat = tmp_path / "proc/vmstat"
    vmstat.write_text("oom_kill 3\n")
    for name in ("memory.oom_control", "cgroup.event_control"):
        (tmp_path / name).touch()
    counter = OomCounter(tmp_path, root=tmp_path)

    def raised(times: int, *, killed: int) -> int:
        if times:
            os.eventfd_write(counter._event, times)
        vmstat.write_text(f"oom_kill {3 + killed}\n")
        return counter.read()

    assert raised(4, killed=0) == 0  # the kernel has not killed yet
    assert raised(2, killed=1) == 1
    assert raised(0, killed=5) == 1  # elsewhere on the host
    assert raised(2, killed=7) == 3
    assert raised(1, killed=7) == 3  # it took back enough
    assert raised(0, killed=8) == 3  # by an instance's own limit


def test_no_descriptor_left_is_no_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where density may open no more files, and nothing is said when the counter that never was is taken away."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "eventfd", refuse)
    with pytest.raises(Unavailable, match="Too many open files"):
        OomCounter(tmp_path, root=tmp_path)
    gc.collect()
