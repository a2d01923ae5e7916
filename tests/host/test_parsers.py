"""Parsers of /proc, PSI and cgroup files: what each makes of the kernel's documented formats, old and new."""

from pathlib import Path

import pytest

from density.host import cpu, daemons, files, memory, pressure, tasks
from density.host.cgroup import parse_cpu_max, parse_some_pressure
from density.host.hierarchies import parse_membership, parse_mountinfo
from density.host.reading import parse_limit, parse_pairs


def test_meminfo_is_in_bytes() -> None:
    """Kibibytes become bytes, by name, and other lines are passed over."""
    text = "Slab:           24684084 kB\nHugePages_Surp:        3\nAnonPages:        141224 kB\n"
    assert memory.parse_meminfo(text) == {
        "memory.slab_bytes": 24684084 * 1024,
        "memory.anon_bytes": 141224 * 1024,
    }


def test_vmstat_counts_kills() -> None:
    """Only `oom_kill` is taken, not the words that begin like it."""
    assert memory.parse_vmstat("pgfault 12\noom_kill 3\noom_kill_other 9\n") == {"memory.oom_kills": 3}


def test_cpu_shares() -> None:
    """Busy is what is neither idle nor waiting; stolen time counts as busy."""
    before = cpu.CpuTimes(count=1, total=1000, idle=500, iowait=100, steal=0)
    after = cpu.CpuTimes(count=1, total=1100, idle=540, iowait=110, steal=5)
    assert cpu.shares(before, after) == pytest.approx(
        {"cpu.busy_ratio": 0.5, "cpu.iowait_ratio": 0.1, "cpu.steal_ratio": 0.05}
    )


def test_loadavg_has_every_task() -> None:
    """The number after the slash is that of all tasks, threads included."""
    assert tasks.parse_loadavg("0.20 0.18 0.12 3/1153 12345\n") == {
        "load.one": 0.20,
        "load.five": 0.18,
        "load.fifteen": 0.12,
        "tasks.running": 3,
        "tasks.count": 1153,
    }


def test_file_nr() -> None:
    """First and last number count."""
    assert files.parse_file_nr("3254\t0\t2466170\n") == {"files.open": 3254, "files.max": 2466170}


def test_pressure_is_a_ratio_and_seconds() -> None:
    """Per cent become a ratio, microseconds become seconds."""
    text = (
        "some avg10=4.99 avg60=1.61 avg300=0.52 total=6390841\nfull avg10=0.70 avg60=0.15 avg300=0.11 total=2126617\n"
    )
    assert pressure.parse_pressure(text, "pressure.io") == pytest.approx(
        {
            "pressure.io.some_avg10_ratio": 0.0499,
            "pressure.io.some_total_seconds": 6.390841,
            "pressure.io.full_avg10_ratio": 0.007,
        }
    )


def test_pressure_since_the_last_read_knows_nothing_of_what_was_before(tmp_path: Path) -> None:
    """A wave that has just ended does not press on the rest after it; reads too close together tell the last share."""
    directory = tmp_path / "proc/pressure"
    directory.mkdir(parents=True)

    def waited(microseconds: int) -> None:
        for name in pressure.RESOURCES:
            (directory / name).write_text(f"some avg10=58.10 avg60=9.00 avg300=1.00 total={microseconds}\n")

    times = iter([100.0, 100.1, 101.0, 101.1, 102.0])
    waited(5_000_000)
    sensor = pressure.PressureSensor(tmp_path, lambda: next(times))
    assert "pressure.cpu.some_ratio" not in sensor.read()
    waited(5_500_000)
    assert sensor.read()["pressure.cpu.some_ratio"] == pytest.approx(0.5)
    waited(5_600_000)
    assert sensor.read()["pressure.cpu.some_ratio"] == pytest.approx(0.5)
    assert sensor.read()["pressure.cpu.some_ratio"] == pytest.approx(0.1)


def test_cpu_pressure_had_no_full_line() -> None:
    """Before Linux 5.13 the CPU has no line `full`, and a slice needs only the other."""
    text = "some avg10=50.00 avg60=0.00 avg300=0.00 total=1\n"
    assert "pressure.cpu.full_avg10_ratio" not in pressure.parse_pressure(text, "pressure.cpu")
    assert parse_some_pressure(text, "cpu") == {"slice.pressure.cpu.some_avg10_ratio": 0.5}


@pytest.mark.parametrize(("word", "limit"), [("1024", 1024.0), ("unlimited", None)])
def test_soft_limit_of_files(word: str, limit: float | None) -> None:
    """The soft limit is the one that bites."""
    text = f"Limit  Soft Limit  Hard Limit  Units\nMax processes 5 6 processes\nMax open files  {word}  524288  files\n"
    assert daemons.parse_soft_limit(text, "Max open files") == limit


@pytest.mark.parametrize("text", ["max\n", "-1\n", "9223372036854771712\n"])
def test_no_limit_in_the_kernel_s_three_ways(text: str) -> None:
    """`max` on v2, -1 for a quota on v1, and 2^63 less a page for memory on v1."""
    assert parse_limit(text) is None


def test_zero_is_a_limit() -> None:
    """A limit of nothing is a limit."""
    assert parse_limit("0\n") == 0


def test_cpu_max() -> None:
    """Quota over period; none is none."""
    assert parse_cpu_max("150000 100000\n") == {"slice.cpus_limit": 1.5}
    assert parse_cpu_max("max 100000\n") == {}


def test_pairs_need_the_whole_word() -> None:
    """`rss` is not `rss_huge`."""
    assert parse_pairs("rss_huge 4\nrss 7\n", {"rss": "x"}) == {"x": 7}


def test_mounts_of_v1_v2_and_what_is_neither() -> None:
    """Options that are no controllers are left out, a container's part of a hierarchy shows, and others are ignored."""
    text = (
        "30 20 0:25 / /proc rw - proc proc rw\n"
        "31 20 0:26 /docker/x /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "32 20 0:27 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,xattr,name=systemd\n"
        "33 20 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    both, named, unified = parse_mountinfo(text, Path("/r"))
    assert both.directory == Path("/r/sys/fs/cgroup/cpu,cpuacct")
    assert (both.top, both.version, both.key) == ("/docker/x", 1, "cpu")
    assert both.controllers == {"cpu", "cpuacct"}
    assert (named.controllers, named.version, named.key) == (frozenset(), 1, "name=systemd")
    assert (unified.controllers, unified.version, unified.key) == (frozenset(), 2, "")


def test_membership() -> None:
    """Every controller of a v1 hierarchy, a named one, and v2 under the empty word; a colon in a name is kept."""
    assert parse_membership("5:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c:d\n") == {
        "cpu": "/a",
        "cpuacct": "/a",
        "name=systemd": "/b",
        "": "/c:d",
    }
