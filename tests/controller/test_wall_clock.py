"""A calendar clock that jumps in mid-run: no duration moves, and the record says when it was and by how much."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.jumping import jumping
from support.running import started

from density.controller.bus import Bus
from density.controller.wall_clock import WallClock
from density.events import ClockStepped, Event, RunStarted
from density.model import Workload
from density.record import read_events
from density.state import RunState

HOUR = 3600.0
PROFILE = """
name = "shop"
[workloads.web]
engine = "simulated"
[ramp]
shape = "linear"
start = 2
step = 2
calibrate = 0
max = 6
settle = "1s"
hold = "1s"
"""


def run(tmp_path: Path, jumps: Sequence[tuple[float, float]]) -> tuple[dict[str, Any], list[Event]]:
    """A run of some seconds whose clock jumps, and its record."""
    (tmp_path / "p.toml").write_text(PROFILE)
    with started(tmp_path / "p.toml", tmp_path / "runs", within=jumping(jumps, tmp_path / "runs")) as process:
        out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    (run_dir,) = (tmp_path / "runs").iterdir()
    return json.loads(out), list(read_events(run_dir / "run.sqlite"))


def test_a_run_through_jumps_is_the_run_without_them(tmp_path: Path) -> None:
    """An hour forward, then two back: times stay in order, durations are seconds, and both steps are kept."""
    document, events = run(tmp_path, [(1.0, HOUR), (3.0, -2 * HOUR)])
    assert document["seconds"] < 60
    assert [round(step["seconds"] / HOUR) for step in document["clock_steps"]] == [1, -2]
    first, second = document["clock_steps"]
    assert 0 < first["at"] < second["at"] < document["seconds"]
    assert second["wall"] - first["wall"] == pytest.approx(-2 * HOUR + second["at"] - first["at"], abs=1)
    assert [warning for warning in document["warnings"] if "clock" in warning] == document["warnings"][-2:]
    assert document["workloads"]["web"]["ready"] == 6
    assert document["workloads"]["web"]["ready_seconds"]["max"] < 60
    sampled = [event.at for event in events if event.kind == "host_sampled"]
    assert sampled == sorted(sampled)
    assert [event.kind for event in events].count("clock_stepped") == 2


@pytest.mark.anyio
async def test_small_steps_and_drift_are_none(anyio_backend: str) -> None:
    """What NTP slews, and half a second, are no jump; a second and more is one, once."""
    events: list[Event] = []
    state = RunState()

    class Keeper:
        def handle(self, event: Event) -> None:
            events.append(event)

    bus = Bus(state, [Keeper()])
    now = anyio.current_time()
    bus.emit(RunStarted(now, "r", 1000.0, "0", "p", "safe", (Workload(name="web", engine="native"),), 1))
    ahead = 1000.0 - now
    clock = WallClock(bus, read=lambda: anyio.current_time() + ahead)
    for step in (0.0, 0.0005, 0.5, 0.9, -0.9):
        ahead += step
        clock.look()
    assert len(events) == 1
    ahead -= 60.0
    clock.look()
    clock.look()
    (stepped,) = (event for event in events if isinstance(event, ClockStepped))
    assert stepped.seconds == pytest.approx(-60.0, abs=0.1)
    assert state.clock_steps == [stepped]
