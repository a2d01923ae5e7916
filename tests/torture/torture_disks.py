"""Disks that are full: of a daemon, of the record, and of the directories that a run cannot do without."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from attribution.attribution_docker import small_disk
from engines.contract import short_directory
from support.dockerd import Dockerd
from support.host_state import settled_leftovers
from support.running import RUN_SECONDS, Document, run_directory, started
from support.tally import Tally
from support.whole_record import account, flaws, unread

pytestmark = pytest.mark.root
RAMP = """
[ramp]
shape = "linear"
start = 5
step = 5
max = 40
until = "failure"
settle = "500ms"
hold = "{hold}"
calibrate = 2
"""
WEB = '[workloads.web]\nengine = "docker"\n[engines]\ndocker = "{endpoint}"\n'
PROCESS = '[workloads.web]\nengine = "native"\n'
LEASE_SECONDS = 45.0
HIDDEN = 'mount --make-rprivate / && mount -t tmpfs -o {options} tmpfs {directory} && {{ {more}; }} && exec "$@"'
"""Puts another file system over a directory, for the command that follows alone."""


def fill(directory: Path) -> None:
    """Take all that is free."""
    with suppress(OSError), (directory / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    with suppress(OSError), (directory / "rest").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def until(found: Callable[[], bool]) -> None:
    """Wait for something, no longer than a run may take."""
    deadline = time.monotonic() + RUN_SECONDS
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ready(run_dir: Path) -> int:
    """Instances that are ready by the record so far."""
    with suppress(Exception):  # there is no record yet
        return account(run_dir).ready
    return 0


def profile_in(directory: Path, text: str, *, hold: str = "2s") -> Path:
    """The file of a profile."""
    path = directory / "full.toml"
    path.write_text(f'name = "full"\n{RAMP.format(hold=hold)}\n{text}')
    return path


def torn_down(document: Document) -> bool:
    """Whether the result is one, has its teardown, and its counts add up."""
    if not document or document["teardown"]["left"]:
        return False
    return all(each["launched"] == each["ready"] + each["failed"] for each in document["workloads"].values())


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where a daemon of our own lives; the paths of its sockets must be short."""
    with short_directory() as found:
        yield found


def mounted_below(directory: Path) -> list[str]:
    """Mount points in this directory."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [f"mount: {point}" for point in points if point.startswith(f"{directory}/")]


@pytest.mark.docker
@pytest.mark.parametrize(("moment", "count", "hold"), [("the ramp", 7, "1s"), ("the hold", 40, "10s")])
def test_the_data_root_of_a_daemon_fills(
    moment: str, count: int, hold: str, tally: Tally, directory: Path, tmp_path: Path
) -> None:
    """Something else takes the last byte of the disk under the daemon: the run ends, and removes all that it made."""
    with small_disk(tmp_path, size="192M", inodes=20000) as disk, Dockerd(directory, data_root=disk) as endpoint:
        profile = profile_in(tmp_path, WEB.format(endpoint=endpoint), hold=hold)
        before = mounted_below(disk)
        with started(profile, tmp_path / "runs") as process:
            run_dir = run_directory(tmp_path / "runs")
            assert run_dir is not None
            until(lambda: ready(run_dir) >= count or process.poll() is not None)
            fill(disk)
            out, said = process.communicate(timeout=RUN_SECONDS)
        left = settled_leftovers(run_dir.name, daemon=endpoint.removeprefix("unix://"))
        left += [each for each in mounted_below(disk) if each not in before]
    document = json.loads(out) if out else {}
    survived = process.returncode in {0, 3} and torn_down(document) and "Traceback" not in said
    tally.add(f"data root of dockerd full in {moment}", survived and not unread(run_dir), left, len(flaws(run_dir)))


@pytest.mark.parametrize("count", [0, 4, 11, 23, 40])
def test_the_disk_of_the_record_fills(count: int, tally: Tally, tmp_path: Path) -> None:
    """Launching stops, everything is removed, and the result comes by standard output, with what its record lacks."""
    with small_disk(tmp_path, size="64M", inodes=2000) as disk:
        with started(profile_in(tmp_path, PROCESS, hold="20s"), disk / "runs") as process:
            run_dir = run_directory(disk / "runs")
            assert run_dir is not None
            until(lambda: ready(run_dir) >= count or process.poll() is not None)
            fill(disk)
            out, said = process.communicate(timeout=RUN_SECONDS)
        left = settled_leftovers(run_dir.name, seconds=LEASE_SECONDS)
        (disk / "filler").unlink(missing_ok=True)
        (disk / "rest").unlink(missing_ok=True)
        document = json.loads(out) if out else {}
        survived = process.returncode not in {0, 1, None} and "Traceback" not in said
        lost = len(flaws(run_dir))
        if document or ready(run_dir):
            survived = survived and torn_down(document) and not unread(run_dir)
            record = document["record"]
            lost += record["complete"] is not (record["missing_events"] == sum(record["missing"].values()) == 0)
        tally.add("disk of the record full", survived, left, lost)


@pytest.mark.parametrize(
    ("place", "options", "more"),
    [
        ("/run/density", "size=64k,nr_inodes=4", "true"),
        ("/run/density", "size=4k", "head -c 4096 /dev/zero > /run/density/.filler"),
        ("/var/cache/density", "size=4k", "head -c 4096 /dev/zero > /var/cache/density/.filler"),
        ("/dev/shm", "size=4k", "head -c 4096 /dev/zero > /dev/shm/filler"),
    ],
)
def test_a_directory_without_room(place: str, options: str, more: str, tally: Tally, tmp_path: Path) -> None:
    """Of inodes or of bytes: the run works all the same, or ends with a sentence, never by a fault of its own."""
    Path(place).mkdir(parents=True, exist_ok=True)
    within: Sequence[str] = (
        "unshare", "--mount", "sh", "-c", HIDDEN.format(options=options, directory=place, more=more), "sh"
    )  # fmt: skip
    with started(profile_in(tmp_path, PROCESS), tmp_path / "runs", within=within) as process:
        out, said = process.communicate(timeout=RUN_SECONDS)
    runs = [path for path in (tmp_path / "runs").glob("*") if path.is_dir()]
    left = [thing for run_dir in runs for thing in settled_leftovers(run_dir.name, seconds=LEASE_SECONDS)]
    fine = process.returncode in {0, 2, 3, 5, 7} and "Traceback" not in said and "density itself failed" not in said
    fine = fine and (not out or torn_down(json.loads(out)))
    lost = sum(len(flaws(run_dir)) for run_dir in runs)
    tally.add(f"{place} full", fine, left, lost)


@contextmanager
def mounted_full(directory: Path) -> Iterator[Path]:
    """A file system in memory with nothing free."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], check=True)
    try:
        fill(directory)
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def test_a_full_temporary_directory(tally: Tally, tmp_path: Path) -> None:
    """TMPDIR has no room from the start: the run needs none."""
    with mounted_full(tmp_path / "tmp") as full:
        environment = {**os.environ, "TMPDIR": str(full)}
        with started(profile_in(tmp_path, PROCESS), tmp_path / "runs", environment=environment) as process:
            run_dir = run_directory(tmp_path / "runs")
            out, said = process.communicate(timeout=RUN_SECONDS)
        assert run_dir is not None
        left = settled_leftovers(run_dir.name)
        fine = process.returncode == 0 and torn_down(json.loads(out)) and "Traceback" not in said
        tally.add("TMPDIR full", fine and not unread(run_dir), left, len(flaws(run_dir)))
