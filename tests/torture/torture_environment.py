"""density in surroundings that nobody tests in: no HOME, closed or full outputs, few files, a deleted directory."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.host_state import settled_leftovers
from support.tally import Tally
from support.whole_record import flaws, unread

pytestmark = pytest.mark.root
DONE, USAGE, UNWRITTEN, TOO_LITTLE = 0, 2, 6, 7
SECONDS = 90.0
LEASE_SECONDS = 45.0
PROFILE = """
name = "strange"
[ramp]
calibrate = 2
max = 4
settle = "100ms"
hold = "100ms"
[workloads.web]
engine = "{engine}"
"""
USER = "setpriv --reuid {uid} --regid {uid} --clear-groups"
NOBODY = USER.format(uid=65534)
NAMELESS = USER.format(uid=4242)
"""A number that no account has, as in many containers."""


@dataclass(frozen=True, slots=True)
class Place:
    """Surroundings of a run.

    Attributes:
        name: the row of the table.
        shell: with `DENSITY` for the command of a run without `--json`, and `DIR` for a directory that all may write.
        codes: exit codes that are right.
        ran: whether the run is made at all, so that it has its result and its page.
        engines: on which it is tried.
    """

    name: str
    shell: str
    codes: tuple[int, ...] = (DONE,)
    ran: bool = True
    engines: tuple[str, ...] = ("simulated", "native")


ALONE = ("simulated",)
"""Plain processes of density's own need more than these surroundings have."""
PLACES = [
    Place("no HOME", "env -u HOME DENSITY"),
    Place("an empty environment", "env -i PYTHONPATH=$PYTHONPATH DENSITY"),
    Place("LANG=C", "env -i LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 PYTHONPATH=$PYTHONPATH DENSITY"),
    Place("no PATH", "env PATH= DENSITY"),
    Place("TERM=dumb", "env TERM=dumb script -qec 'DENSITY' /dev/null"),
    Place("a terminal of one column", "script -qec 'stty cols 1 rows 1; DENSITY' /dev/null"),
    Place("COLUMNS=-5", "env COLUMNS=-5 LINES=x DENSITY"),
    Place("no such time zone", "env TZ=Mars/Olympus DENSITY"),
    Place("python -OO", "env PYTHONOPTIMIZE=2 DENSITY"),
    Place("input closed", "DENSITY <&-"),
    Place("output closed", "DENSITY --json >&-"),
    Place("errors closed", "DENSITY 2>&-"),
    Place("everything closed", "DENSITY --json <&- >&- 2>&-"),
    Place("output full", "DENSITY --json >/dev/full", (UNWRITTEN,)),
    Place("errors full", "DENSITY 2>/dev/full", (DONE, UNWRITTEN)),
    Place("output and errors full", "DENSITY --json >/dev/full 2>&1", (UNWRITTEN,)),
    Place("a reader that goes", "DENSITY --json | head -c 10"),
    Place("signals ignored", "(trap '' INT HUP TERM; exec DENSITY)"),
    Place("umask 777", "(umask 777; exec DENSITY)"),
    Place("no temporary directory", "env TMPDIR=/nonexistent TMP=/nonexistent TEMP=/nonexistent DENSITY"),
    Place("directory deleted", "mkdir DIR/gone; cd DIR/gone; rmdir DIR/gone; DENSITY", (USAGE,), ran=False),
    Place("directory deleted, runs in it", "mkdir DIR/gone; cd DIR/gone; rmdir DIR/gone; DENSITY --runs-dir runs",
          (USAGE,), ran=False),
    Place("runs in a file", "touch DIR/file; DENSITY --runs-dir DIR/file", (USAGE,), ran=False),
    Place("runs below a device", "DENSITY --runs-dir /dev/null/runs", (USAGE,), ran=False),
    Place("runs read-only", "mkdir DIR/r; unshare -m sh -c 'mount -t tmpfs -o ro none DIR/r; DENSITY --runs-dir DIR/r'",
          (USAGE,), ran=False),
    Place("runs in a loop of links", "ln -s loop DIR/loop; DENSITY --runs-dir DIR/loop", (USAGE,), ran=False),
    Place("1,024 open files", "prlimit --nofile=1024:1024 DENSITY"),
    Place("64 open files", "prlimit --nofile=64:64 DENSITY", (TOO_LITTLE,), ran=False),
    Place("20 open files", "prlimit --nofile=20:20 DENSITY", (TOO_LITTLE,), ran=False),
    Place("files of 4 KiB", "prlimit --fsize=4096:4096 DENSITY", (USAGE, UNWRITTEN), ran=False),
    Place("nobody", f"env HOME=DIR {NOBODY} DENSITY"),
    Place("nobody in root's HOME", f"env HOME=/root {NOBODY} DENSITY", (USAGE,), ran=False),
    Place("nobody without HOME", f"env -u HOME {NOBODY} DENSITY", (USAGE,), ran=False),
    Place("nobody, runtime directory gone", f"env HOME=DIR XDG_RUNTIME_DIR=/nonexistent {NOBODY} DENSITY",
          (DONE, USAGE), ran=False),
    Place("an unknown user without HOME", f"env -u HOME {NAMELESS} DENSITY", (DONE, USAGE), ran=False),
]  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """One that every user may write; its parents let all through."""
    path = Path("/tmp", f"strange-{os.getpid()}-{tmp_path.name[-12:]}")
    path.mkdir(mode=0o777)
    path.chmod(0o777)
    yield path
    subprocess.run(["chmod", "-R", "u+rwX", path], check=False)
    subprocess.run(["rm", "-rf", path], check=True)


@pytest.mark.parametrize(
    ("place", "engine"),
    [pytest.param(place, engine, id=f"{place.name}, {engine}") for place in PLACES for engine in place.engines],
)
def test_surroundings(place: Place, engine: str, tally: Tally, directory: Path) -> None:
    """The run is made and has its result, or it says in a sentence why not; it is never a fault of density's own."""
    profile = directory / "profile.toml"
    profile.write_text(PROFILE.format(engine=engine))
    profile.chmod(0o644)
    command = [sys.executable, "-m", "density", "run", str(profile), "-q", "--runs-dir", str(directory / "runs")]
    density = shlex.join([*command, "--metrics", "off"])
    shell = place.shell.replace("DENSITY", density).replace("DIR/", f"{directory}/").replace("=DIR ", f"={directory} ")
    done = subprocess.run(
        ["bash", "-c", shell], cwd=directory, capture_output=True, timeout=SECONDS, check=False, start_new_session=True
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    runs = [path for path in (directory / "runs").glob("*") if path.is_dir()]
    for path in runs:  # root reads what others wrote, and what nobody may
        with suppress(OSError):
            path.chmod(0o700)
    survived = done.returncode in place.codes and "Traceback" not in said and "density itself failed" not in said
    if place.ran:
        survived = survived and bool(runs) and all((run / "result.json").is_file() for run in runs)
        survived = survived and all((run / "report.html").is_file() and not unread(run) for run in runs)
    if not survived:
        print(f"\n{place.name}, {engine}: exit code {done.returncode}, {len(runs)} runs: {said[-600:]}")
    left = [
        thing
        for run in runs
        for thing in settled_leftovers(run.name, seconds=LEASE_SECONDS)
        if str(directory) not in thing
    ]
    tally.add(place.name, survived, left, sum(len(flaws(run)) for run in runs))
