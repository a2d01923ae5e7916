"""Real ceilings of plain processes and of the tester itself, each induced on this host and named by the verdict."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest
from attribution.conftest import Attribute
from attribution.induced import RAMP, SAFE

pytestmark = pytest.mark.root

STOP_SECONDS, GO_SECONDS = 2.0, 1.0
LOOK_SECONDS = 0.05


def bare(*, table: str = "", ramp: str = RAMP, more: str = "") -> str:
    """A profile of plain processes that do nothing.

    Args:
        table: more tables of the profile.
        ramp: its table.
        more: more keys of the workload.
    """
    return f'{ramp}\n{table}\n[workloads.bare]\nengine = "native"\n{more}\n'


@contextmanager
def small_disk(mount: Path, *, size: str) -> Iterator[None]:
    """A file system of this size."""
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "density-induced", mount], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", mount], check=True)


@contextmanager
def starved_from(instances: int) -> Iterator[None]:
    """Whatever density runs here stands still for two seconds in three, as soon as it has so many instances."""
    done = Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            for child in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):
                    if len(child.children(recursive=True)) > instances:
                        child.send_signal(signal.SIGSTOP)
                        done.wait(STOP_SECONDS)
                        child.send_signal(signal.SIGCONT)
                        done.wait(GO_SECONDS)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def test_tasks_of_the_slice(attribute: Attribute) -> None:
    """A slice of 30 tasks holds the fork server and 29 processes."""
    attribute(
        bare(table="[slice]\ntasks = 30"),
        expect="tasks.cgroup",
        subject="",
        evidence=["Resource temporarily unavailable", "stood at 30 of 30 tasks"],
        fix="`tasks` in [slice]",
        counts=(29, 29),
    )


def test_memory_of_the_slice(attribute: Attribute) -> None:
    """A slice of 120 MiB holds some two dozen processes that touch 5 MiB each, then the kernel kills."""
    attribute(
        bare(table='[slice]\nmemory = "120MiB"', more='touch = "5MiB"'),
        expect="memory.cgroup",
        subject="",
        evidence=[r"the kernel killed \d+ processes in the slice", r"stood at .* of 120 MiB"],
        fix="`memory` in [slice]",
        counts=(18, 24),
    )


@pytest.mark.parametrize("ramp", [SAFE, RAMP], ids=["safe", "failure"])
def test_open_files_of_the_tester(attribute: Attribute, ramp: str) -> None:
    """A tester holds a socket for each instance, and keeps some files for itself whatever it is told to find out."""
    attribute(
        bare(ramp=ramp.replace("step = 6", "step = 30").replace("max = 60", "max = 300")),
        expect="files.process",
        subject="tester",
        evidence=[r"of 256 \(reserve 64\)"],
        fix="ulimit -n",
        counts=(60, 180),
        within=["prlimit", "--nofile=256:256"],
    )


def test_space_for_the_record(attribute: Attribute, tmp_path: Path) -> None:
    """What a run writes of itself is on a disk too, and a tenth of it stays free for the result."""
    with small_disk(tmp_path / "runs", size="1m"):
        attribute(
            bare(),
            expect="disk.space",
            subject="runs",
            evidence=["stood at .* of 1 MiB"],
            fix="disk space",
        )


def test_a_late_tester(attribute: Attribute) -> None:
    """A tester that is held up again and again says that its numbers are in doubt; once would pass."""
    with starved_from(10):
        attribute(
            bare(ramp=SAFE, table='[objectives]\ntester_lag = "1s"'),
            expect="tester.lag",
            evidence=[r"an objective was missed with \d+ ready: tester\.lag at [12]"],
            fix="it is starved",
        )


def test_cpu_pressure(attribute: Attribute) -> None:
    """Processes that burn half a CPU each wait for one once there are more of them than CPUs have halves."""
    attribute(
        bare(ramp=SAFE, table='[objectives]\ncpu_pressure = "70%"', more='burn = "50%"'),
        expect="cpu.pressure",
        evidence=[r"an objective was missed with \d+ ready: cpu\.pressure at"],
        fix="more CPUs",
        counts=(2, 20),
    )


def test_slow_starts(attribute: Attribute) -> None:
    """Touching memory takes the longer, the more processes burn the CPUs."""
    attribute(
        bare(ramp=SAFE, table='[objectives]\nready_p95 = "150ms"', more='burn = "50%"\ntouch = "32MiB"'),
        expect="slo.ready",
        evidence=[r"an objective was missed with \d+ ready: slo\.ready \(bare\) at"],
        fix="launch fewer at once",
    )


def test_failing_starts(attribute: Attribute) -> None:
    """Starts that are not given the time they take fail for no want of a resource."""
    attribute(
        bare(table='[objectives]\nfailures = "5%"', more='burn = "50%"\ntouch = "32MiB"\nready_timeout = "200ms"'),
        expect="slo.failures",
        evidence=[r"\d+ x timeout \(not ready \(payload\) within 200 ms"],
        fix="see the failures by kind",
    )
