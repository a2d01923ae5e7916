"""What psutil reads: this host and recorded ones, without its module's state leaking, and rates over half a second."""

import os
import threading
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from density.host.cpu import SHORTEST_SECONDS, CpuSensor, boot_time, read_times
from density.host.daemons import ProcessSensor
from density.host.disk import DiskSensor
from density.host.memory import MemorySensor, SwapSensor
from density.host.procfs import procfs
from density.host.reading import Unavailable

FIXTURES = Path(__file__).parent / "fixtures"
TICKS = os.sysconf("SC_CLK_TCK")


class Memory(NamedTuple):
    """What psutil says of memory, swap and disks."""

    total: int = 11
    available: int = 7
    free: int = 5


def record_cpu(root: Path, columns: str, *, cpus: int = 1) -> None:
    """A recorded /proc/stat: the columns of all CPUs."""
    (root / "proc").mkdir(exist_ok=True)
    lines = [f"cpu  {columns}", *(f"cpu{number} {columns}" for number in range(cpus)), "intr 9 9", "btime 1700000000"]
    (root / "proc/stat").write_text("\n".join(lines) + "\n")


def record_process(root: Path, pid: int, *, cpu_ticks: int, name: str = "d") -> None:
    """A recorded process with three threads and 256 pages."""
    directory = root / f"proc/{pid}"
    (directory / "fd").mkdir(parents=True, exist_ok=True)
    (directory / "limits").write_text("Max open files  1024  4096  files\n")
    (directory / "stat").write_text(
        f"{pid} ({name}) S 1 9 9 0 -1 0 0 0 0 0 {cpu_ticks} 0 0 0 20 0 3 0 900 1000 256 {'1 ' * 30}\n"
    )
    (directory / "status").write_text(f"Name:\t{name}\nThreads:\t3\n")
    (directory / "statm").write_text("1000 256 1 1 0 1 0\n")


def test_memory_swap_disks_and_times_are_psutil_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What psutil answers is what the sensors say."""
    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    monkeypatch.setattr(psutil, "swap_memory", Memory)
    monkeypatch.setattr(psutil, "disk_usage", lambda _: Memory())
    values = {**MemorySensor(Path("/")).read(), **SwapSensor(Path("/")).read()}
    assert (values["memory.total_bytes"], values["memory.available_bytes"]) == (11, 7)
    assert (values["memory.swap_total_bytes"], values["memory.swap_free_bytes"]) == (11, 5)
    assert DiskSensor("x", tmp_path).read()["disk.x.available_bytes"] == 5
    monkeypatch.setattr(psutil, "boot_time", lambda: 12.5)
    assert boot_time(Path("/")) == 12.5


@pytest.mark.parametrize("error", [psutil.NoSuchProcess(4), psutil.AccessDenied(4), FileNotFoundError(2, "No such")])
def test_the_path_is_put_back_whatever_happens(error: Exception) -> None:
    """Psutil reads this host's /proc again after a recorded one could not be read."""

    def read() -> None:
        with procfs(FIXTURES / "debian12-v1"):
            assert str(FIXTURES / "debian12-v1/proc") == psutil.PROCFS_PATH
            raise error

    with pytest.raises(Unavailable):
        read()
    assert psutil.PROCFS_PATH == "/proc"


def test_hosts_read_at_once_are_not_mixed_up() -> None:
    """Threads that read three hosts at the same time each see their own memory."""
    roots = [Path("/"), FIXTURES / "debian12-v1", FIXTURES / "debian12-v2-systemd"]
    totals: dict[Path, set[float]] = {root: set() for root in roots}

    def read(root: Path) -> None:
        sensor = MemorySensor(root)
        totals[root].update(sensor.read()["memory.total_bytes"] for _ in range(60))

    threads = [threading.Thread(target=read, args=(root,)) for root in roots for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(found) == 1 for found in totals.values())
    assert len(set.union(*totals.values())) == 3


def test_guest_time_is_counted_once(tmp_path: Path) -> None:
    """Guest time is in user time already, and every online CPU is counted."""
    record_cpu(tmp_path, "100 1 50 800 20 3 4 5 60 7", cpus=2)
    times = read_times(tmp_path)
    assert times.count == 2
    assert times.total == pytest.approx(983 / TICKS)
    assert (times.idle, times.iowait, times.steal) == (800 / TICKS, 20 / TICKS, 5 / TICKS)
    assert boot_time(tmp_path) == 1_700_000_000


@pytest.mark.parametrize("text", ["", "intr 1 2 3\n", "cpu many\n"])
def test_a_stat_without_cpus_is_unavailable(tmp_path: Path, text: str) -> None:
    """The one error that never stops a run."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(text)
    with pytest.raises(Unavailable):
        read_times(tmp_path)


def test_a_share_of_cpu_is_never_that_of_a_tick_or_two(tmp_path: Path) -> None:
    """Reads a tenth of a second apart repeat the last share of half a second, however busy that tenth was."""
    now = 100.0
    record_cpu(tmp_path, "0 0 0 1000 0 0 0 0 0 0")
    sensor = CpuSensor(tmp_path, clock=lambda: now)
    now += SHORTEST_SECONDS / 2
    record_cpu(tmp_path, "2 0 0 1000 0 0 0 0 0 0")
    assert "cpu.busy_ratio" not in sensor.read()
    now += SHORTEST_SECONDS / 2
    record_cpu(tmp_path, "10 0 0 1030 10 0 0 0 0 0")
    assert sensor.read()["cpu.busy_ratio"] == pytest.approx(0.2)
    now += 0.1
    record_cpu(tmp_path, "20 0 0 1030 10 0 0 0 0 0")
    assert sensor.read()["cpu.busy_ratio"] == pytest.approx(0.2)
    now += 0.4
    assert sensor.read()["cpu.busy_ratio"] == pytest.approx(1.0)


def test_cpu_of_a_daemon_is_that_of_half_a_second_and_more(tmp_path: Path) -> None:
    """Three seconds of CPU in two are one and a half CPUs; a first reading, and one right after it, say nothing."""
    record_process(tmp_path, 9, cpu_ticks=1000)
    now = 100.0
    sensor = ProcessSensor("d", 9, tmp_path, clock=lambda: now)
    assert "d.busy_cpus" not in sensor.read()
    now += 0.2
    assert "d.busy_cpus" not in sensor.read()
    record_process(tmp_path, 9, cpu_ticks=1000 + 3 * TICKS)
    now = 102.0
    assert sensor.read()["d.busy_cpus"] == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["d", "a) R 1 (b", "two words"])
def test_a_process_is_read_whatever_its_name_is(tmp_path: Path, name: str) -> None:
    """Brackets and spaces in the name shift no field."""
    record_process(tmp_path, 9, cpu_ticks=2 * TICKS, name=name)
    values = ProcessSensor("d", 9, tmp_path).read()
    assert values["d.cpu_seconds"] == 2
    assert values["d.threads"] == 3
    assert values["d.rss_bytes"] == 256 * os.sysconf("SC_PAGE_SIZE")
    assert values["d.fds_limit"] == 1024


def test_a_process_that_is_none_is_unavailable(tmp_path: Path) -> None:
    """Neither of this host nor of a recorded one."""
    for root in (Path("/"), tmp_path):
        with pytest.raises(Unavailable):
            ProcessSensor("d", 2**22 - 1, root)
