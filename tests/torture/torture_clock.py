"""The calendar clock jumps in mid-run, with real payloads, whose leases and pings go on by the monotonic one."""

import json
from pathlib import Path
from random import Random

import pytest
from support.host_state import settled_leftovers
from support.jumping import jumping
from support.running import RUN_SECONDS, run_directory, started
from support.tally import Tally
from support.whole_record import flaws, unread

from density.record import read_events

pytestmark = pytest.mark.root
TIMES = 8
PROFILE = """
name = "clock"
[ramp]
shape = "linear"
start = 5
step = 5
max = 15
calibrate = 0
settle = "1s"
hold = "3s"
[objectives]
tester_lag = "off"
cpu_busy = "off"
cpu_pressure = "off"
[workloads.process]
engine = "native"
"""


@pytest.mark.parametrize("number", range(TIMES))
def test_a_clock_that_jumps(number: int, tally: Tally, tmp_path: Path) -> None:
    """An hour or a day, forward and back, at random moments: nothing is lost, and no duration has the jump in it."""
    rng = Random(number)
    jumps = [(rng.uniform(0.2, 6.0), rng.choice((3600.0, -3600.0, 86_400.0, -86_400.0))) for _ in range(3)]
    profile, runs = tmp_path / "clock.toml", tmp_path / "runs"
    profile.write_text(PROFILE)
    with started(profile, runs, within=jumping(jumps, runs)) as process:
        out, _ = process.communicate(timeout=RUN_SECONDS)
    run_dir = run_directory(runs)
    assert run_dir is not None
    document = json.loads(out)
    events = list(read_events(run_dir / "run.sqlite"))
    sampled = [event.at for event in events if event.kind == "host_sampled"]
    seconds = document["workloads"]["process"]["ready_seconds"]["max"]
    said = sum(step["seconds"] for step in document["clock_steps"])
    survived = (
        process.returncode == 0
        and document["workloads"]["process"]["ready"] == 15
        and document["workloads"]["process"]["lost"] == 0
        and document["seconds"] < 120
        and seconds < 60
        and sampled == sorted(sampled)
        and abs(said - sum(by for _, by in jumps)) < 5
    )
    tally.add("the clock jumps", survived and not unread(run_dir), settled_leftovers(run_dir.name), len(flaws(run_dir)))
