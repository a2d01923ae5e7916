"""A run for the views to show, with names and messages that mean harm."""

import pytest

from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    HostSampled,
    InstanceChanged,
    RunStarted,
    StageEntered,
    Warned,
    WaveSettled,
    WaveStarted,
)
from density.model import Failure, Phase, Workload

MESSAGE = "OCI runtime create failed: [red]runc\x1b[2J\u202e\nunable to start: can't get final child's PID"


@pytest.fixture(scope="session")
def events() -> list[Event]:
    """Two workloads, one settled wave of four with a failure, a second one on its way."""
    workloads = (Workload(name="web", engine="docker"), Workload(name="guest", engine="libvirt"))
    events: list[Event] = [
        RunStarted(0.0, "r1", 1.7e9, "0.1", "quick[bold]", "safe", workloads, 100, {}, {"tasks": 1600}),
        StageEntered(0.0, "preflight"),
        Warned(0.5, "[bold]emulated\x1b]0;title\x07 guests"),
        WaveSettled(1.0, 0.5, 0, {"web": 0, "guest": 0}, {}, {}),
        StageEntered(1.0, "ramp"),
        WaveStarted(1.0, 1, {"web": 3, "guest": 1}, 4),
    ]
    for number in range(3):
        events += [
            InstanceChanged(1.0, f"web-{number}", "web", Phase.REQUESTED),
            InstanceChanged(2.0, f"web-{number}", "web", Phase.READY),
        ]
    return [
        *events,
        InstanceChanged(1.0, "guest-0", "guest", Phase.REQUESTED),
        InstanceChanged(3.0, "guest-0", "guest", Phase.FAILED, Failure("try_again", MESSAGE)),
        HostSampled(
            3.5,
            {
                "cpu.busy_ratio": 0.5,
                "load.one": 2.5,
                "memory.available_bytes": 20 * 2.0**30,
                "memory.total_bytes": 24 * 2.0**30,
                "tasks.count": 1300.0,
                "tasks.pid_max": 32768.0,
                "slice.tasks": 95.0,
                "slice.tasks_limit": 100.0,
                "pressure.cpu.some_ratio": 0.123,
            },
            0.001,
        ),
        WaveSettled(4.0, 3.0, 1, {"web": 3, "guest": 0}, {}, {"try_again": 1}),
        Forecasted(
            4.0,
            (
                CeilingForecast("tasks.pid_max", "", 1300, 32768, 1600, 900.0, 850.0, 950.0),
                CeilingForecast("memory.available", "", 4, 24, 2, float("inf"), 90.0, float("inf")),
            ),
        ),
        WaveStarted(5.0, 2, {"web": 5, "guest": 1}, 9),
        InstanceChanged(5.0, "web-3", "web", Phase.REQUESTED),
    ]
