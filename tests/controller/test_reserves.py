"""Reserves are checked before each launch, in virtual time; what that reads of this host agrees with the sensors."""

from collections.abc import Callable, Mapping

import pytest
from support.simulation import Simulated, simulate

from density.controller.reserves import Reserves, Verdict
from density.engines.simulated import HostModel
from density.events import InstanceChanged, RunStarted
from density.host.quick import QuickReader
from density.host.reader import HostReader
from density.host.reading import Sample
from density.model import Failure, Phase, Workload
from density.profile.spec import Profile, Ramp, Reserve, SimulatedHost
from density.state import RunState

WEB = Workload(name="web", engine="simulated", stated_costs={"tasks": 10.0})


class SlowToSee(HostModel):
    """A host whose sensors answer once a minute: between two samples only what is read at once knows anything."""

    def __init__(self, profile: Profile, clock: Callable[[], float]) -> None:
        super().__init__(profile.simulated, slice_=profile.slice, workloads=profile.workloads, clock=clock)
        self._clock = clock
        self.least_free = self.spec.tasks - self.used("tasks")
        self._seen: tuple[float, Sample] | None = None

    def take(self, workload: str) -> Failure | None:
        """And see how many tasks are free then."""
        failure = super().take(workload)
        self.least_free = min(self.least_free, self.spec.tasks - self.used("tasks"))
        return failure

    async def read(self, *, thorough: bool) -> Sample:
        """The last minute's values."""
        if self._seen is None or self._clock() - self._seen[0] >= 60:
            self._seen = self._clock(), await super().read(thorough=thorough)
        return self._seen[1]


def _run(*, tasks: int, reserve: int, wave: int) -> Simulated:
    host = SimulatedHost(tasks=tasks, used_tasks=0, costs={"web": {"tasks": 10.0}}, launch_seconds=1.0)
    ramp = Ramp(shape="list", waves=(wave,), until="failure", max_instances=wave + 4, hold_seconds=0.0, concurrency=32)
    profile = Profile(name="test", workloads=(WEB,), ramp=ramp, reserve=Reserve(tasks=reserve), simulated=host)
    return simulate(profile, make_host=SlowToSee)


def test_a_wave_that_nobody_forecast_right_stops_at_the_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ramp asks for 300 with room for 100, between two samples: the reserve is missed by one instance at most."""
    monkeypatch.setattr("density.controller.run.decide", _always(300))
    run = _run(tasks=1500, reserve=500, wave=300)
    assert isinstance(run.host, SlowToSee)
    assert run.host.least_free >= 500 - 10
    assert run.state.workloads["web"].peak in {100, 101}
    assert run.state.workloads["web"].failed == 0
    assert run.state.torn_down is not None
    assert run.state.torn_down.left == ()


def test_launches_in_flight_are_counted_before_they_have_taken_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 32 at once would cross the reserve though none has yet: near it fewer are in flight, and all that fit run."""
    monkeypatch.setattr("density.controller.run.decide", _always(300))
    run = _run(tasks=700, reserve=500, wave=300)
    assert isinstance(run.host, SlowToSee)
    assert run.host.least_free >= 500 - 10
    assert run.state.workloads["web"].peak in {20, 21}


def _always(count: int) -> Callable[..., object]:
    from density.ramp.decide import Launch, Stop, decide  # noqa: PLC0415 — the real one, which is replaced

    def replaced(profile: Profile, state: RunState, wave: int) -> Launch | Stop:
        step = decide(profile, state, wave)
        return Launch(count) if isinstance(step, Launch) else step

    return replaced


def _state(*, in_flight: int, launched: int = 0) -> RunState:
    state = RunState()
    state.apply(RunStarted(0, "r", 0, "0", "p", "safe", (WEB,), 1000))
    for number in range(launched + in_flight):
        state.apply(InstanceChanged(0, f"web-{number}", "web", Phase.REQUESTED))
        if number < launched:
            state.apply(InstanceChanged(0, f"web-{number}", "web", Phase.READY))
    return state


def _reserves(state: RunState, values: Mapping[str, float]) -> Reserves:
    profile = Profile(name="p", workloads=(WEB,), reserve=Reserve(tasks=100, disk_bytes=10))
    reserves = Reserves(profile, state, lambda: values)
    state.host = {"tasks.count": 0.0, "tasks.pid_max": 1000.0}
    reserves.plan()
    return reserves


@pytest.mark.parametrize(
    ("used", "in_flight", "expected"),
    [(890, 0, Verdict.NOW), (901, 0, Verdict.NEVER), (870, 2, Verdict.NOW), (871, 2, Verdict.LATER)],
)
def test_what_is_in_flight_counts_with_its_whole_cost(used: float, in_flight: int, expected: Verdict) -> None:
    """At 10 tasks each, two in flight and the next one need 30 tasks below the reserve; alone the reading decides."""
    reserves = _reserves(_state(in_flight=in_flight), {"tasks.count": used, "tasks.pid_max": 1000.0})
    assert reserves.verdict(WEB) is expected


def test_a_sample_counts_every_launch_since_it_began() -> None:
    """A disk is known from a sample alone: three launches have ended since, and the fourth waits for the next one."""
    state = _state(in_flight=0)
    reserves = _reserves(state, {})
    before = reserves.ended()
    reserves._costs = {("disk.space", "docker"): {"web": 100.0}}
    sample = {"disk.docker.total_bytes": 1e6, "disk.docker.available_bytes": 410.0}
    reserves.sampled(sample, before)
    assert reserves.verdict(WEB) is Verdict.NOW
    for number in range(4):
        state.apply(InstanceChanged(0, f"web-{number}", "web", Phase.REQUESTED))
        state.apply(InstanceChanged(0, f"web-{number}", "web", Phase.READY))
    assert reserves.verdict(WEB) is Verdict.LATER
    reserves.sampled(sample, reserves.ended())
    assert reserves.verdict(WEB) is Verdict.NOW


def test_what_is_read_at_once_agrees_with_the_sensors() -> None:
    """Same names, and the same numbers but for what happens between two readings."""
    quick = QuickReader().read()
    sensors = HostReader(disks={}).read()
    assert quick.keys() >= {"memory.total_bytes", "memory.available_bytes", "tasks.count", "files.open"}
    for name, value in quick.items():
        assert sensors[name] == pytest.approx(value, rel=0.2, abs=64), name
