"""Runs until something fails, with a loop beside them: the host can fork and be logged in to, to the end."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attribution.lowering import lowered
from support.beside import Beside, forking
from support.host_state import settled_leftovers
from support.running import RUN_SECONDS, Document, run_directory, started
from support.tally import Tally
from support.whole_record import flaws, unread

from density.controller.paths import RECORD
from density.events import SteppedBack
from density.host.slice import slice_name
from density.record import read_events

pytestmark = pytest.mark.root
ABOVE_USE = 6_000
"""Tasks that are free when a run begins; its reserve of 1,600 keeps the host away from the end."""
P99_SECONDS = 0.1
LATE_SECONDS = 40.0
"""By then 4,400 processes run, and are held."""
CACHE_BYTES = 1536 * 2**20
RAMP = """
[ramp]
until = "failure"
settle = "1s"
hold = "2s"
"""
PROFILES = {
    "processes": f'name = "full"\n{RAMP}\nmax = 20000\n[workloads.web]\nengine = "native"\n',
    "containers": f'name = "full"\n{RAMP}\nmax = 2000\n[workloads.web]\nengine = "docker"\n',
}
MEMORY = f"""
name = "memory"
[slice]
memory = "1GiB"
{RAMP}
max = 400
[workloads.web]
engine = "native"
touch = "16MiB"
"""


def run_beside(profile: str, directory: Path, *, slice_file: Path | None = None) -> tuple[Document, int, Beside, Path]:
    """A run to its end, with the loop beside it, and, for as long as it runs, a reader of this file in its slice."""
    path = directory / "full.toml"
    path.write_text(profile)
    with forking() as beside, started(path, directory / "runs") as process:
        run_dir = run_directory(directory / "runs")
        if run_dir is None:
            pytest.fail(f"no run began: {process.communicate()[1]}")
        with reader_in_slice(run_dir.name, slice_file):
            out, said = process.communicate(timeout=RUN_SECONDS)
        assert process.returncode is not None
    assert out, said
    return json.loads(out), process.returncode, beside, run_dir


READER = """
import os, sys, time
file, procs = sys.argv[1:]
while not os.path.exists(procs):
    time.sleep(0.05)
open(procs, "w").write(str(os.getpid()))
most = 0
while True:
    with open(file, "rb", buffering=0) as data:
        while data.read(1 << 20):
            time.sleep(0.005)
            count = len(open(procs).read().split())
            most = max(most, count)
            if most > 8 and count < most // 2:
                sys.exit()
        os.posix_fadvise(data.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
"""
"""Fills the slice with page cache, 200 MiB a second at most, until half of the instances are gone: the slice has to be
empty to be removed."""


@contextmanager
def reader_in_slice(run_id: str, file: Path | None) -> Iterator[None]:
    """Where there is a file, something reads it in the run's slice."""
    if file is None:
        yield
        return
    roots = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
    root = next(each for each in roots if each.is_dir())
    procs = root / f"{slice_name(run_id)}.partition" / "cgroup.procs"
    with subprocess.Popen([sys.executable, "-S", "-c", READER, str(file), str(procs)]) as reader:
        try:
            yield
        finally:
            reader.kill()


def judge(fault: str, tally: Tally, found: tuple[Document, int, Beside, Path], *ceilings: str) -> None:
    """A row of the table, and what the loop beside it measured."""
    document, code, beside, run_dir = found
    print(f"\n{fault}: {document['outcome']}, {document['verdict']['ceiling']}\n{beside}", file=sys.stderr)
    survived = (
        code == 0
        and document["outcome"] == "ceiling"
        and document["verdict"]["ceiling"] in ceilings
        and not document["teardown"]["left"]
        and beside.p99() < P99_SECONDS
        and not beside.refused
        and not unread(run_dir)
    )
    tally.add(fault, survived, settled_leftovers(run_dir.name), len(flaws(run_dir)))


def used() -> int:
    """Tasks on this host now."""
    return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


@pytest.mark.parametrize("kind", [pytest.param("processes"), pytest.param("containers", marks=pytest.mark.docker)])
def test_task_ids_run_out(kind: str, tally: Tally, tmp_path: Path) -> None:
    """`kernel.pid_max` is 6,000 above what is used: the ramp ends at it, and the host forks within 0.1 s to the end."""
    with lowered("kernel.pid_max", used() + ABOVE_USE):
        found = run_beside(PROFILES[kind], tmp_path)
    judge(f"kernel.pid_max 6,000 above use, {kind}", tally, found, "tasks.pid_max")


def test_something_else_takes_the_reserve(tally: Tally, tmp_path: Path) -> None:
    """A thousand tasks of somebody else's come in the hold: instances go until the reserve is whole, then all."""
    profile = PROFILES["processes"].replace('hold = "2s"', 'hold = "20s"')
    with lowered("kernel.pid_max", used() + ABOVE_USE), others() as more:
        timer = threading.Timer(LATE_SECONDS, more)
        timer.start()
        try:
            found = run_beside(profile, tmp_path)
        finally:
            timer.cancel()
    events = read_events(found[-1] / RECORD)
    assert any(isinstance(event, SteppedBack) for event in events), "the reserve was not touched in the hold"
    judge("1,000 tasks more in the hold", tally, found, "tasks.pid_max")


OTHERS = """
import sys, threading
sys.stdin.readline()
stay = threading.Event()
for _ in range(1000):
    threading.Thread(target=stay.wait, daemon=True).start()
sys.stdin.readline()
"""


@contextmanager
def others() -> Iterator[Callable[[], None]]:
    """Once this is called, a process has a thousand threads, until it is left."""
    with subprocess.Popen([sys.executable, "-S", "-c", OTHERS], stdin=subprocess.PIPE, text=True) as process:
        stdin = process.stdin
        assert stdin is not None

        def go() -> None:
            stdin.write("go\n")
            stdin.flush()

        try:
            yield go
        finally:
            process.kill()


def test_a_slice_full_of_page_cache(tally: Tally, tmp_path: Path) -> None:
    """What a file's reader leaves in the slice's memory goes first: instances fill the slice, and the host is well."""
    file = tmp_path / "cache"
    with file.open("wb", buffering=0) as data:
        for _ in range(CACHE_BYTES >> 20):
            data.write(bytes(1 << 20))
    judge("a memory slice full of page cache", tally, run_beside(MEMORY, tmp_path, slice_file=file), "memory.cgroup")
