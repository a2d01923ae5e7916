"""From the stop to the exit density needs no other process and no other thread: the host may have none to give."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys, threading
from pathlib import Path

FULL = False
TRIED = []
FORKS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}

def hook(event, arguments):
    if FULL and event in FORKS:
        TRIED.append([event, str(arguments[0])])
        raise BlockingIOError(11, "Resource temporarily unavailable")

sys.addaudithook(hook)
start = threading.Thread.start

def refuse(thread):
    if FULL:
        raise RuntimeError("can't start new thread")
    start(thread)

threading.Thread.start = refuse

from anyio._backends import _asyncio

_asyncio.WorkerThread.MAX_IDLE_TIME = 0.5  # as after a long hold: no idle thread is left but the sensors'

from density.cli import main
from density.controller import run

enter = run.Controller._enter

def entered(self, stage):
    global FULL
    FULL = FULL or stage == "teardown"
    enter(self, stage)

run.Controller._enter = entered
code = main(sys.argv[2:])
FULL = False
Path(sys.argv[1]).write_text(json.dumps({"code": code, "tried": TRIED}))
"""
PROFILES = {
    "simulated": '[workloads.web]\nengine = "simulated"\n',
    "native": '[workloads.web]\nengine = "native"\n',
    "docker": '[workloads.web]\nengine = "docker"\n',
    "libvirt": '[workloads.vm]\nengine = "libvirt"\nguest = "null"\nmemory = "64MiB"\n',
}


@pytest.mark.parametrize(
    "engine",
    [
        "simulated",
        "native",
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("libvirt", marks=pytest.mark.libvirt),
    ],
)
def test_nothing_is_forked_from_the_teardown_on(tmp_path: Path, engine: str) -> None:
    """With every fork and thread refused, all is removed, the result and the page are written: exit code 0."""
    profile = tmp_path / "profile.toml"
    ramp = '[ramp]\ncalibrate = 2\nmax = 6\nsettle = "0.2s"\nhold = "1.5s"\n'
    profile.write_text(f'name = "last"\n{PROFILES[engine]}{ramp}')
    told = tmp_path / "told.json"
    words = ["run", str(profile), "--runs-dir", str(tmp_path / "runs"), "-q", "--metrics", "off"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(told), *words], capture_output=True, text=True, timeout=200, check=False
    )
    assert told.exists(), done.stderr
    assert json.loads(told.read_text()) == {"code": 0, "tried": []}, done.stderr
    [run_dir] = (tmp_path / "runs").iterdir()
    result = json.loads((run_dir / "result.json").read_text())
    assert result["teardown"]["left"] == []
    assert (run_dir / "report.html").stat().st_size > 0
