"""What one sample of the host costs density, and that it does not grow with what runs on the host."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from density.controller.reserves import Reserves
from density.events import RunStarted
from density.host import HostReader
from density.host.quick import QuickReader
from density.model import Workload
from density.profile.spec import Profile
from density.state import RunState

PROCESSES = 500
SAMPLES = 60
LAUNCHES = 2000


@contextmanager
def processes(count: int) -> Iterator[None]:
    """So many further processes on this host, for as long as this is entered."""
    started = [subprocess.Popen(["sleep", "600"]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def cost(*, thorough: bool) -> tuple[float, float]:
    """Medians of a sample: seconds of CPU, and of time."""
    reader = HostReader(disks={"runs": Path("/"), "shm": Path("/dev/shm")}, bridges=["docker0"])
    reader.read()
    spent, passed = [], []
    for _ in range(SAMPLES):
        time.sleep(0.02)
        cpu, began = time.process_time(), time.perf_counter()
        reader.read(thorough=thorough)
        spent.append(time.process_time() - cpu)
        passed.append(time.perf_counter() - began)
    return median(spent), median(passed)


@pytest.mark.parametrize("thorough", [False, True])
def test_a_sample_is_cheap_and_flat(thorough: bool) -> None:  # noqa: FBT001 — a case
    """Under 5 ms of CPU with 500 instances' processes on the host, and at most half more than without."""
    without, quiet = cost(thorough=thorough)
    with processes(PROCESSES):
        beside, busy = cost(thorough=thorough)
    kind = "thorough" if thorough else "beat"
    print(f"\n{kind}: {without * 1e3:.2f} ms of CPU ({quiet * 1e3:.2f} ms), beside {PROCESSES} processes "
          f"{beside * 1e3:.2f} ms ({busy * 1e3:.2f} ms)")  # fmt: skip
    assert beside < 0.005
    assert beside < 1.5 * without + 0.0005


def test_what_is_read_before_each_launch_costs_next_to_nothing() -> None:
    """Under 300 us of CPU for the reading and the check of every reserve: 3 % of a core at 100 launches a second."""
    workload = Workload(name="web", engine="docker")
    state = RunState()
    state.apply(RunStarted(0, "r", 0, "0", "p", "safe", (workload,), 1000))
    state.host = HostReader(disks={"runs": Path("/"), "shm": Path("/dev/shm")}).read()
    reserves = Reserves(Profile(name="p", workloads=(workload,)), state, QuickReader().read)
    reserves.plan()
    reserves.sampled(state.host, reserves.ended())
    began = time.process_time()
    for _ in range(LAUNCHES):
        reserves.verdict(workload)
    seconds = (time.process_time() - began) / LAUNCHES
    print(f"\nbefore a launch: {seconds * 1e6:.0f} us of CPU")
    assert seconds < 300e-6
