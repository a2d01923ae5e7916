"""Half an hour full of containers and VMs that are killed from outside and launched again: density does not grow."""

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from support.host_state import instances_on_the_host, settled_leftovers
from support.running import run_directory
from support.tally import Tally
from support.whole_record import account, flaws, unread

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.libvirt]
MINUTES = float(os.environ.get("DENSITY_SOAK_MINUTES", "30"))
"""How long the host is kept full."""
CONTAINERS, VMS = 200, 4
CHURN = 0.05
"""Share of the instances that is killed in a minute."""
BEAT_SECONDS = 60 / ((CONTAINERS + VMS) * CHURN)
FULL_SECONDS = 300.0
END_SECONDS = 180.0
SPARE = {"descriptors": 8.0, "threads": 4.0, "memory_bytes": 8 * 2**20}
"""What a figure's median may differ by between the second quarter and the last; launches are under way in both."""
PROFILE = f"""
name = "soak"
[ramp]
shape = "linear"
start = 51
step = 51
max = {CONTAINERS + VMS}
until = "failure"
settle = "1s"
calibrate = 2
[workloads.web]
engine = "docker"
share = {CONTAINERS // VMS}
[workloads.vm]
engine = "libvirt"
accelerator = "tcg"
share = 1
"""


@dataclass(slots=True)
class Series:
    """The controller's own figures, read from outside."""

    descriptors: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)
    memory_bytes: list[float] = field(default_factory=list)

    def read(self, process: psutil.Process) -> None:
        """Once more."""
        self.descriptors.append(process.num_fds())
        self.threads.append(process.num_threads())
        self.memory_bytes.append(process.memory_info().rss)

    def growth(self, name: str) -> float:
        """Median of the last quarter above that of the second: in the first one caches fill."""
        values: list[float] = getattr(self, name)
        quarter = len(values) // 4
        return statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter])


@contextmanager
def refilled(profile: Path, runs_dir: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """`density run` with what is missing launched again; interrupted and waited for, however this is left."""
    options = ["--json", "-q", "--metrics", "127.0.0.1:0", "--runs-dir", str(runs_dir)]
    command = [sys.executable, "-m", "torture.refilled", str(seconds), "run", str(profile), *options]
    path = f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.communicate()


def kill(run_id: str, instance_id: str) -> None:
    """End an instance behind density's back: SIGKILL to its process."""
    name = f"density-{run_id}-{instance_id}"
    if instance_id.startswith("web"):
        subprocess.run(["docker", "kill", name], check=False, capture_output=True)
        return
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["name"].startswith("qemu-system") and any(name in word for word in words):
            process.kill()


def churned(process: psutil.Process, run_dir: Path, seconds: float) -> tuple[Series, set[str]]:
    """Kill at an even pace for so long: the controller's figures, and what was killed."""
    rng = random.Random(0)
    series, killed = Series(), set[str]()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        series.read(process)
        chosen = rng.choice(sorted(instances_on_the_host(run_dir.name) - killed))
        kill(run_dir.name, chosen)
        killed.add(chosen)
        time.sleep(max(0.0, BEAT_SECONDS - (time.monotonic() - began)))
    return series, killed


def test_a_full_host_with_churn(tally: Tally, tmp_path: Path) -> None:
    """Descriptors, threads and memory of density do not grow; every death is in the record, and nothing is left."""
    profile = tmp_path / "soak.toml"
    profile.write_text(PROFILE)
    seconds = MINUTES * 60
    with refilled(profile, tmp_path / "runs", seconds + 30) as density:
        run_dir = run_directory(tmp_path / "runs")
        assert run_dir is not None
        try:
            await_full(run_dir)
            series, killed = churned(psutil.Process(density.pid), run_dir, seconds)
        except (psutil.Error, LookupError):
            pytest.fail(f"the run ended: {density.communicate(timeout=END_SECONDS)}")
        density.communicate(timeout=END_SECONDS)
    counted = account(run_dir)
    lost = flaws(run_dir, seen=killed)
    if counted.lost < len(killed) - counted.failed:
        lost.append(
            f"{len(killed)} were killed; the record has {counted.lost} that died and {counted.failed} that failed"
        )
    growth = {name: series.growth(name) for name in SPARE}
    print(f"\n{len(killed)} killed in {seconds:.0f} s; {counted}; growth {growth}; medians of all "
          f"{statistics.median(series.descriptors):.0f} descriptors, {statistics.median(series.threads):.0f} threads, "
          f"{statistics.median(series.memory_bytes) / 2**20:.0f} MiB")  # fmt: skip
    survived = density.returncode == 0 and not unread(run_dir)
    survived = survived and all(growth[name] <= spare for name, spare in SPARE.items())
    tally.add(f"{MINUTES:g} min of churn, 200 containers, 4 VMs", survived, settled_leftovers(run_dir.name), len(lost))


def await_full(run_dir: Path) -> None:
    """Until everything runs."""
    end = time.monotonic() + FULL_SECONDS
    while len(instances_on_the_host(run_dir.name)) < CONTAINERS + VMS:
        if time.monotonic() > end:
            raise LookupError("the host never got full")
        time.sleep(2)
    time.sleep(20)
