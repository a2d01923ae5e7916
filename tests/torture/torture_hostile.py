"""What people and programs do to a run at odd moments: stop it, delete its files, kill its helpers, start another."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.host_state import leftovers, settled_leftovers
from support.running import RUN_SECONDS, Document, run_directory, started
from support.tally import Tally
from support.users import NOBODY
from support.whole_record import account, flaws, unread

pytestmark = pytest.mark.root
LEASE_SECONDS = 60.0
"""30 s of lease, a start of Python on a busy host, and the removal."""
INTERRUPTED = 130
PROFILE = """
name = "odd"
[ramp]
shape = "linear"
start = 4
step = 4
max = 12
settle = "500ms"
hold = "4s"
calibrate = 2
[workloads.process]
engine = "native"
touch = "1MiB"
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that goes on, and has instances."""

    process: subprocess.Popen[str]
    directory: Path

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.directory.name

    def end(self) -> tuple[int, Document, str]:
        """Wait for it: its exit code, result and words."""
        out, said = self.process.communicate(timeout=RUN_SECONDS)
        return self.process.returncode, json.loads(out) if out else {}, said


@contextmanager
def running(directory: Path, *, ready: int = 4) -> Iterator[Run]:
    """One of plain processes, as soon as so many are ready."""
    profile = directory / "odd.toml"
    profile.write_text(PROFILE)
    with started(profile, directory / "runs") as process:
        run_dir = run_directory(directory / "runs")
        assert run_dir is not None
        deadline = time.monotonic() + 60
        while _ready(run_dir) < ready:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        yield Run(process, run_dir)


def density(*words: str, user: int = 0) -> subprocess.CompletedProcess[str]:
    """A command to its end, as a user without a home where it is another than root."""
    command = [sys.executable, "-m", "density", *words]
    if user:
        command = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *command]
    environment = {**os.environ, **({"HOME": "/nonexistent"} if user else {})}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=RUN_SECONDS)


def fine(said: str) -> bool:
    """Whether no words tell of a fault of density's own."""
    return "Traceback" not in said and "density itself failed" not in said


def child(run: Run, word: str) -> psutil.Process:
    """The run's reaper (`reaper.py`), or its fork server (`--spawn`)."""
    children = psutil.Process(run.process.pid).children()
    return next(each for each in children if any(word in part for part in each.cmdline()))


def _ready(run_dir: Path) -> int:
    try:
        return account(run_dir).ready
    except Exception:  # noqa: BLE001 — there is no record yet
        return 0


@pytest.mark.parametrize("seconds", [3, 8, 45])
def test_the_controller_is_stopped_for_a_while(seconds: int, tally: Tally, tmp_path: Path) -> None:
    """SIGSTOP and SIGCONT: the run goes on or says why not; what died by the lease meanwhile is not kept quiet."""
    with running(tmp_path) as run:
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        run.process.send_signal(signal.SIGCONT)
        code, document, said = run.end()
    lost = sum(each["lost"] for each in document.get("workloads", {}).values())
    explained = not lost or bool(document["warnings"])
    survived = code in {0, 3, 5} and fine(said) and explained and not unread(run.directory)
    tally.add(f"SIGSTOP for {seconds} s", survived, settled_leftovers(run.run_id), len(flaws(run.directory)))


def test_the_reaper_is_killed(tally: Tally, tmp_path: Path) -> None:
    """Another one takes its place, so that a kill of the controller afterwards still leaves nothing."""
    with running(tmp_path) as run:
        first = child(run, "reaper.py")
        first.kill()
        time.sleep(4)
        second = child(run, "reaper.py")
        run.process.kill()
        run.process.wait()
    left = settled_leftovers(run.run_id, seconds=LEASE_SECONDS)
    survived = first.pid != second.pid and not unread(run.directory)
    tally.add("SIGKILL of the reaper, then of density", survived, left, len(flaws(run.directory)))


def test_reaper_and_controller_are_killed_at_once(tally: Tally, tmp_path: Path) -> None:
    """Then `density clean` finds everything; the next run, before that, says that something is there."""
    with running(tmp_path) as run:
        child(run, "reaper.py").kill()
        run.process.kill()
        run.process.wait()
    time.sleep(1)
    there = leftovers(run.run_id)
    done = density("clean")
    survived = bool(there) and done.returncode == 0 and fine(done.stderr) and not unread(run.directory)
    tally.add(
        "SIGKILL of reaper and density, then clean", survived, settled_leftovers(run.run_id), len(flaws(run.directory))
    )


def test_a_second_run_and_a_clean_up(tally: Tally, tmp_path: Path) -> None:
    """Beside a live run: another says who holds the host, `density clean` spares it, and it never notices."""
    with running(tmp_path) as run:
        second = density(
            "run", str(tmp_path / "odd.toml"), "-q", "--metrics", "off", "--runs-dir", str(tmp_path / "more")
        )
        cleaned = density("clean")
        of_nobody = density("clean", user=NOBODY)
        named = density("clean", run.run_id, user=NOBODY)
        code, document, said = run.end()
    refused = second.returncode == 2 and run.run_id in second.stderr
    spared = cleaned.returncode in {0, 2} and fine(cleaned.stderr + of_nobody.stderr + named.stderr)
    whole = code == 0 and fine(said) and sum(each["lost"] for each in document["workloads"].values()) == 0
    lost = len(flaws(run.directory))
    tally.add(
        "a second run and clean-ups beside a run", refused and spared and whole, settled_leftovers(run.run_id), lost
    )


def _delete_results(run: Run) -> None:
    shutil.rmtree(run.directory)


def _delete_runtime(run: Run) -> None:
    shutil.rmtree(Path("/run/density", run.run_id))


def _delete_runs(run: Run) -> None:
    run.directory.rename(run.directory.with_name("moved"))


def _kill_server(run: Run) -> None:
    child(run, "--spawn").kill()


def _stop_server(run: Run) -> None:
    child(run, "--spawn").suspend()
    time.sleep(3)
    run.process.send_signal(signal.SIGINT)


def _terminate(run: Run) -> None:
    for _ in range(30):
        run.process.send_signal(signal.SIGTERM)
        time.sleep(0.01)


def _hang_up(run: Run) -> None:
    run.process.send_signal(signal.SIGHUP)


DEEDS: dict[str, Callable[[Run], None]] = {
    "directory of results deleted": _delete_results,
    "directory of results renamed": _delete_runs,
    "runtime directory deleted": _delete_runtime,
    "SIGKILL of the fork server": _kill_server,
    "SIGSTOP of the fork server, then SIGINT": _stop_server,
    "30 SIGTERM": _terminate,
    "SIGHUP": _hang_up,
}


@pytest.mark.parametrize("name", DEEDS)
def test_a_deed(name: str, tally: Tally, tmp_path: Path) -> None:
    """The run ends by itself, in order, and nothing of it stays."""
    with running(tmp_path) as run:
        DEEDS[name](run)
        code, _, said = run.end()
    survived = code in {0, 1, 3, 4, 5, 6, INTERRUPTED} and fine(said)
    if not survived:
        print(f"\n{name}: exit code {code}: {said[-600:]}")
    there = next(iter(path for path in (tmp_path / "runs").glob("*") if (path / "run.sqlite").exists()), None)
    lost = flaws(there) if there else []
    print("\n".join(lost))
    tally.add(name, survived, settled_leftovers(run.run_id, seconds=LEASE_SECONDS), len(lost))


@pytest.mark.parametrize("milliseconds", [50, 150, 300, 500, 700, 900, 1200, 1600])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_early_end(how: signal.Signals, milliseconds: int, tally: Tally, tmp_path: Path) -> None:
    """From the first moment on: SIGINT ends it at once with its own exit code, SIGKILL leaves nothing."""
    profile = tmp_path / "odd.toml"
    profile.write_text(PROFILE)
    with started(profile, tmp_path / "runs") as process:
        time.sleep(milliseconds / 1000)
        process.send_signal(how)
        out, said = process.communicate(timeout=30)
    runs = [path for path in (tmp_path / "runs").glob("*") if path.is_dir()]
    expected = {INTERRUPTED, -signal.SIGINT} if how is signal.SIGINT else {-signal.SIGKILL}
    survived = process.returncode in expected and fine(said)
    if not survived:
        print(f"\n{how.name} after {milliseconds} ms: {process.returncode}: {said[-600:]}{out[-200:]}")
    left = [thing for run in runs for thing in settled_leftovers(run.name, seconds=LEASE_SECONDS)]
    tally.add(f"{how.name} in the first moments", survived, left, sum(len(flaws(run)) for run in runs))
