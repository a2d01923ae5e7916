"""density run as a person runs it: in a process of its own, whose words, exit code and files are looked at."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import psutil

from density.controller.clean import clean
from density.controller.intent import fulfil

Document = dict[str, Any]
"""A `result.json`."""

RUN_SECONDS = 300.0
"""A run that takes longer is ended, and wrong."""
TEARDOWN_SECONDS = 120.0
_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over.

    Attributes:
        document: its `result.json`; empty where there is none.
        exit_code: None where it was ended because it took too long.
        said: what it wrote to the terminal for a person.
    """

    document: Document
    exit_code: int | None
    said: str
    seconds: float = 0.0

    @property
    def problem(self) -> str:
        """What is wrong about its end; empty if nothing."""
        if self.exit_code is None:
            return f"no end within {RUN_SECONDS:.0f} s"
        return f"exit code {self.exit_code}: {self.said.strip()}" if self.exit_code else ""


@contextmanager
def started(
    profile: Path | str,
    runs_dir: Path,
    *,
    within: Sequence[str] = (),
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """`density run --json` in a process and a session of its own.

    However this is left, the run is told to end and waited for, so that it takes its instances away.

    Args:
        profile: a file, or the name of a profile that is shipped.
        runs_dir: where the run's directory is made.
        within: a command that runs density, such as one that enters a namespace.
        options: more of the command line.
        environment: instead of this process's.
    """
    command = [*within, sys.executable, "-m", "density", "run", str(profile), "--json", "-q", "--metrics", "off"]
    process = subprocess.Popen(
        [*command, "--runs-dir", str(runs_dir), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # a Ctrl-C in the terminal comes through here, once
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            _end(process)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def run_density(profile: Path, runs_dir: Path, within: Sequence[str]) -> Finished:
    """Run `density run` to its end.

    Raises:
        subprocess.TimeoutExpired: it takes too long; it was ended.
    """
    with started(profile, runs_dir, within=within) as process:
        return finished(process)


def finished(process: "subprocess.Popen[str]") -> Finished:
    """The end of a run that was started.

    Raises:
        subprocess.TimeoutExpired: it takes too long.
    """
    out, said = process.communicate(timeout=RUN_SECONDS)
    return Finished(json.loads(out) if out else {}, process.returncode, said)


def timed_run(profile: Path, runs_dir: Path, within: Sequence[str] = ()) -> Finished:
    """`run_density`, with the seconds that it took."""
    began = time.monotonic()
    try:
        finished = run_density(profile, runs_dir, within)
    except subprocess.TimeoutExpired:
        finished = Finished({}, None, "")
    return replace(finished, seconds=time.monotonic() - began)


def run_directory(runs_dir: Path, *, seconds: float = 30.0) -> Path | None:
    """The directory of the one run in `runs_dir`, as soon as there is one; None where none came in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := [path for path in runs_dir.glob("*") if path.is_dir()]:
            return found[0]
        time.sleep(_LOOK_SECONDS)
    return None


def forget(run_id: str) -> None:
    """End the reaper of a run and remove what it would: the engine was a fake one, which never comes back."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if run_id in words and ("reaper.py" in words or "density.controller.aftermath" in words):
                process.kill()
                process.wait(TEARDOWN_SECONDS)
    fulfil(run_id)  # so that the engine is not asked
    anyio.run(clean, run_id)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=TEARDOWN_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
