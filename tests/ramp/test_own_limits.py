"""Instances that fail at a limit of their own: what ends a ramp, and what is blamed."""

from density.ceilings.judge import judge
from density.ceilings.reading import Bounds
from density.ceilings.verdict import suspects
from density.events import Event, HostSampled, InstanceChanged, RunStarted, Stopped, WaveSettled, WaveStarted
from density.model import Failure, OwnLimit, Phase, Workload
from density.profile.spec import Profile, Ramp
from density.ramp.decide import Launch, Stop, bounds_of, decide
from density.state import RunState, fold

MIB = 2**20
WEB = Workload(name="web", engine="docker", image="web", memory_bytes=64 * MIB)
PROFILE = Profile(name="p", workloads=(WEB,), ramp=Ramp(until="failure", max_instances=100))
KILLED = Failure(
    "own_limit", "killed", (), 137, "SIGKILL", own_limits=(OwnLimit("memory.instance", 64 * MIB, 64 * MIB, hits=1),)
)
FULL = {"slice.memory_bytes": 1000.0 * MIB, "slice.memory_limit_bytes": 1001.0 * MIB}
"""A slice that would explain any death by want of memory."""


def _wave(size: int, *deaths: Failure, values: dict[str, float] | None = None) -> RunState:
    """A wave of this size that all got ready, and then some of it died."""
    names = [f"web-{number:05d}" for number in range(size)]
    host = values or {"memory.total_bytes": 24e9, "memory.available_bytes": 20e9}
    events: list[Event] = [
        RunStarted(0.0, "r", 0.0, "0", "p", "failure", (WEB,), 100),
        HostSampled(0.5, host, 0.001),
        WaveStarted(1.0, 1, {"web": size}, size),
        *(InstanceChanged(1.0, name, "web", Phase.REQUESTED) for name in names),
        *(InstanceChanged(2.0, name, "web", Phase.READY) for name in names),
        *(InstanceChanged(3.0, name, "web", Phase.LOST, failure) for name, failure in zip(names, deaths, strict=False)),
        HostSampled(3.5, host, 0.001),
        WaveSettled(4.0, 3.2, 1, {"web": size - len(deaths)}, host, {}),
    ]
    return fold(events)


def test_one_death_in_four_at_its_own_limit_ends_no_ramp() -> None:
    """The host has room for more; that one instance outgrew what it was given says nothing of it."""
    assert isinstance(decide(PROFILE, _wave(4, KILLED), 1), Launch)


def test_most_of_a_wave_at_its_own_limit_ends_the_ramp_and_is_named() -> None:
    """The verdict is the instance's own limit with the workload's knob, how many of how many, and no host ceiling."""
    state = _wave(4, KILLED, KILLED, KILLED, values=FULL)
    stop = decide(PROFILE, state, 1)
    assert isinstance(stop, Stop)
    assert (stop.ceiling, stop.subject) == ("memory.instance", "web")
    state.apply(Stopped(5.0, stop.outcome, stop.reason, stop.ceiling, stop.subject, stop.by_failures))
    verdict = judge(state, bounds_of(PROFILE), {})
    assert verdict is not None
    assert (verdict.used, verdict.limit) == (64 * MIB, 64 * MIB)
    assert verdict.confidence is not None
    assert verdict.confidence > 0.9
    assert "`memory` of the workload web" in verdict.fix
    assert any("3 of 4 instances of web" in line and "64 MiB" in line for line in verdict.evidence)
    assert {found.ceiling for found in suspects(state, Bounds(), {})} == {"memory.instance"}


def test_a_limit_that_only_the_words_point_to_is_less_certain_than_one_that_the_kernel_named() -> None:
    """Too many open files fit the instance's own limit, where nothing else that they fit is near its own."""
    said = Failure(
        "too_many_files", "exit code 1: Too many open files", own_limits=(OwnLimit("files.instance", 0, 64),)
    )
    full = {"inotify.uid0.instances_count": 96.0, "inotify.instances_limit": 96.0}
    alone, *_ = suspects(_wave(3, said, said, said), Bounds(), {})
    among = {found.ceiling: found.odds for found in suspects(_wave(3, said, said, said, values=full), Bounds(), {})}
    assert (alone.ceiling, alone.subject) == ("files.instance", "web")
    assert among["files.instance"] < alone.odds
    assert among["inotify.instances"] > 0.8
