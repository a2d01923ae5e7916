"""A Docker daemon that answers nonsense, or never: one sentence with its exit code, and signals that work all the same.

In a process of its own each, as people run it; `engines/test_docker_lies.py` goes through what a daemon can do.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from engines.contract import short_directory
from support.fake_docker import served
from support.host_state import leftovers
from support.lying_docker import IMAGE, MODES, LyingDocker
from support.running import forget, run_directory, started

INTERRUPTED = 130
LEFT = 4
OWN_NETWORK = ("unshare", "--net")
"""One run at a time on a host, and in each of its network namespaces; a socket in the file system is seen from all."""
AT_ONCE_SECONDS = 12.0
"""Far below what any call may take, with an interpreter to end on a busy host."""
PROFILE = """
name = "hanging"
[workloads.web]
engine = "docker"
image = "IMAGE"
ready = "running"
network = "bridge"
[engines]
docker = "unix://DIRECTORY/docker.sock"
[ramp]
calibrate = 2
max = 2
settle = "0.1s"
hold = "0s"
"""


@dataclass(frozen=True)
class Left:
    """How a run ended that was given signals while its daemon hung.

    Attributes:
        seconds: from the last signal to the end of the process.
        left: what is on the host of it.
    """

    code: int
    seconds: float
    outcome: str
    left: list[str]


@contextmanager
def lying(name: str) -> Iterator[tuple[LyingDocker, Path]]:
    """A daemon of this mode, and a directory with its socket."""
    daemon = LyingDocker(next(mode for mode in MODES if mode.name == name))
    with short_directory() as directory, served(directory, daemon):
        yield daemon, directory
        daemon.close()


def until(true: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait for this."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def signalled(endpoint: str, *signals: signal.Signals) -> Left:
    """A run that is given these signals, 1.2 s apart, once its daemon hangs at this endpoint."""
    with lying(f"{endpoint}: hangs") as (daemon, directory):
        profile = directory / "profile.toml"
        profile.write_text(PROFILE.replace("IMAGE", IMAGE).replace("DIRECTORY", str(directory)))
        with started(profile, directory / "runs", within=OWN_NETWORK) as process:
            until(lambda: daemon.asked.get(endpoint))
            for number, each in enumerate(signals):
                time.sleep(1.2 if number else 0.1)
                process.send_signal(each)
            began = time.monotonic()
            process.communicate(timeout=60)
            seconds = time.monotonic() - began
        run_dir = run_directory(directory / "runs")
        assert run_dir is not None
        result = run_dir / "result.json"
        outcome = json.loads(result.read_text())["outcome"] if result.exists() else ""
        left = [each for each in leftovers(run_dir.name) if str(directory) not in each]
        forget(run_dir.name)
        return Left(process.returncode, seconds, outcome, left)


Case = tuple[str, *tuple[signal.Signals, ...]]
ENDS = {
    "version: no HTTP": (5, "its answer is no HTTP"),
    "version: ApiVersion is missing": (5, "ApiVersion: field required"),
    "info: NCPU is 'many'": (5, "found 'many'"),
    "image: depth": (5, "no JSON"),
    "image: Config is None": (2, "has no HEALTHCHECK"),
    "create: 500": (5, "it went wrong"),
    "start: half": (5, "became ready"),
    "list: Labels is None": (0, ""),
    "logs: drips": (3, "is required"),
}
"""Mode -> the exit code, and words of the sentence that goes with it."""


def end_of(name: str) -> tuple[int, str, list[str]]:
    """A run on a daemon of this mode: its exit code, what it said, and what is left of it."""
    with lying(name) as (_, directory):
        profile = directory / "profile.toml"
        text = PROFILE.replace("IMAGE", IMAGE).replace("DIRECTORY", str(directory))
        text = text.replace('"running"', '"healthy"' if "Config" in name else '"running"')
        profile.write_text(f"{text}[require]\nhard = 3\n" if "logs" in name else text)
        with started(profile, directory / "runs", within=OWN_NETWORK) as process:
            _, said = process.communicate(timeout=60)
        run_dir = run_directory(directory / "runs")
        assert run_dir is not None
        return process.returncode, said, [each for each in leftovers(run_dir.name) if str(directory) not in each]


@pytest.mark.root
def test_nonsense_has_an_exit_code_and_a_sentence() -> None:
    """2 for what was asked, 3 for what was missed, 5 for the engine; never a traceback, and nothing left."""
    with ThreadPoolExecutor(len(ENDS)) as threads:
        ended = dict(zip(ENDS, threads.map(end_of, ENDS), strict=True))
    for name, (code, said, left) in ended.items():
        assert (code, left) == (ENDS[name][0], []), name
        assert ENDS[name][1] in said, name
        assert "Traceback" not in said, name
        assert "density itself" not in said, name


TERM, INT, HUP = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
CASES = (
    ("version", TERM), ("info", INT), ("image", HUP), ("create", INT), ("create", INT, INT), ("remove", INT, INT),
)  # fmt: skip


@pytest.fixture(scope="module")
def ended() -> Mapping[Case, Left]:
    """How runs ended: where their daemon hangs, and the signals that they were given."""
    with ThreadPoolExecutor(len(CASES)) as threads:
        return dict(zip(CASES, threads.map(lambda case: signalled(*case), CASES), strict=True))


@pytest.mark.root
@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case[0])
def test_signals_end_a_run_whose_daemon_hangs(case: Case, ended: Mapping[Case, Left]) -> None:
    """While it connects, asks, looks at images: at once, with a result, and with nothing left."""
    found = ended[case]
    assert (found.code, found.outcome, found.left) == (INTERRUPTED, "interrupted", [])
    assert found.seconds < AT_ONCE_SECONDS


@pytest.mark.root
def test_what_is_being_made_is_waited_for_a_moment(ended: Mapping[Case, Left]) -> None:
    """A container that the daemon may be making has some seconds to come; then the run ends in order, without it."""
    found = ended[CASES[3]]
    assert (found.code, found.outcome, found.left) == (INTERRUPTED, "interrupted", [])
    assert found.seconds < 10 + AT_ONCE_SECONDS


@pytest.mark.root
@pytest.mark.parametrize("case", CASES[4:], ids=lambda case: case[0])
def test_a_second_signal_leaves_at_once(case: Case, ended: Mapping[Case, Left]) -> None:
    """Also in a teardown that the daemon hangs in; exit code 4 says that something may be left."""
    found = ended[case]
    assert found.code == LEFT
    assert found.seconds < AT_ONCE_SECONDS


def test_other_commands_are_interrupted_too() -> None:
    """`doctor` waits for the daemon, and Ctrl-C ends it."""
    with lying("version: hangs") as (daemon, directory):
        command = [sys.executable, "-m", "density", "doctor", "--runs-dir", str(directory / "runs")]
        environment = {"DOCKER_HOST": f"unix://{directory}/docker.sock", "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        until(lambda: daemon.asked.get("version"))
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=60)
        assert process.returncode == INTERRUPTED
        assert time.monotonic() - began < AT_ONCE_SECONDS
