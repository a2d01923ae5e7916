"""What is measured by the clock: samples on a fixed beat, pings on their schedule, in virtual time."""

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from density.ceilings.reading import Bounds
from density.controller.bus import Bus
from density.controller.prober import IN_FLIGHT, TIMEOUT_SECONDS, Prober
from density.controller.reserves import Reserves
from density.controller.sampler import Sampler
from density.controller.stalls import Stalls
from density.events import Event, HostSampled, InstanceChanged, ProbeMeasured, RunStarted, TesterMeasured
from density.host.reading import Sample
from density.model import EngineInfo, Phase, Workload
from density.profile.spec import Profile
from density.state import RunState


@dataclass
class Keeper:
    """A sink that keeps every event."""

    events: list[Event] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        self.events.append(event)


@dataclass
class StalledHost:
    """Sensors that stand still once, at this time and for so long."""

    at: float
    seconds: float

    async def read(self, *, thorough: bool) -> Sample:  # noqa: ARG002 — the protocol's shape
        if anyio.current_time() >= self.at and self.seconds:
            seconds, self.seconds = self.seconds, 0.0
            await anyio.sleep(seconds)
        return Sample({})

    def quick(self) -> Mapping[str, float]:
        return {}

    def facts(self) -> Mapping[str, str | float]:
        return {}

    def add_bridges(self, devices: Sequence[str]) -> None: ...

    def watch_engine(self, engine: EngineInfo) -> None: ...


@dataclass
class StalledInstances:
    """Instances that answer in a millisecond, but for those in `stalled` while time is between `at` and `until`."""

    at: float
    until: float
    stalled: frozenset[str]
    on_their_way: Counter[str] = field(default_factory=Counter)
    most: int = 0

    async def ping(self, instance_id: str) -> float:
        began = anyio.current_time()
        self.on_their_way[instance_id] += 1
        self.most = max(self.most, self.on_their_way[instance_id])
        try:
            await anyio.sleep(0.001)
            if instance_id in self.stalled and self.at <= anyio.current_time() < self.until:
                await anyio.sleep_until(self.until)
        finally:
            self.on_their_way[instance_id] -= 1
        return anyio.current_time() - began

    def pingable(self, instance_id: str) -> bool:  # noqa: ARG002 — the protocol's shape
        return True


def virtual(function: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
    """Run in virtual time."""
    clock = MockClock(autojump_threshold=0)
    anyio.run(function, *arguments, backend="trio", backend_options={"clock": clock})


def ready_bus(keeper: Keeper, counts: Mapping[str, int]) -> Bus:
    """A run with so many ready instances of each workload."""
    bus = Bus(RunState(), [keeper])
    workloads = tuple(Workload(name=name, engine="simulated") for name in counts)
    bus.emit(RunStarted(0, "r", 0, "0", "p", "safe", workloads, 100))
    for name, count in counts.items():
        for number in range(count):
            bus.emit(InstanceChanged(0, f"{name}-{number}", name, Phase.REQUESTED))
            bus.emit(InstanceChanged(0, f"{name}-{number}", name, Phase.READY))
    return bus


def sampled(host: StalledHost, *, seconds: float) -> list[Event]:
    """The events of a sampler on this host, of so long."""
    keeper = Keeper()

    async def run() -> None:
        bus = ready_bus(keeper, {"web": 1})
        sampler = Sampler(
            bus,
            host,
            bounds=Bounds(),
            reserves=Reserves(Profile(name="p", workloads=()), bus.state, host.quick),
            stalls=Stalls(bus, {}, lease_seconds=30),
            brake=lambda _: None,
            unreadable=lambda _: None,
        )
        with anyio.move_on_after(seconds):
            await sampler.run()

    virtual(run)
    return keeper.events


def probed(pinger: StalledInstances, *, seconds: float, counts: Mapping[str, int]) -> list[ProbeMeasured]:
    """The pings of a prober in so long, and those that were answered after it."""
    keeper = Keeper()

    async def run() -> None:
        prober = Prober(ready_bus(keeper, counts), pinger)
        async with anyio.create_task_group() as group:
            group.start_soon(prober.run)
            await anyio.sleep(seconds)
            await prober.answered()
            group.cancel_scope.cancel()

    virtual(run)
    return [event for event in keeper.events if isinstance(event, ProbeMeasured)]


def test_a_sampler_that_stalls_reports_how_long_it_stalled() -> None:
    """Three seconds within one sample are a lag of three seconds, and the beats meanwhile are counted as missed."""
    events = sampled(StalledHost(at=2.5, seconds=3.2), seconds=10)
    tester = [event for event in events if isinstance(event, TesterMeasured)]
    assert max(event.lag_seconds for event in tester) == pytest.approx(3.2)
    assert tester[-1].max_lag_seconds == pytest.approx(3.2)
    assert tester[-1].missed_beats == 3


def test_samples_return_to_their_beat_after_a_stall() -> None:
    """Beats are fixed: after a stall the samples are again at whole seconds from the first."""
    events = sampled(StalledHost(at=2.5, seconds=3.2), seconds=9.5)
    times = [event.at for event in events if isinstance(event, HostSampled)]
    assert [time - times[0] for time in times] == pytest.approx([0, 1, 2, 6.2, 7, 8, 9])


def test_a_stalled_host_is_seen_by_every_ping_that_was_due() -> None:
    """Three seconds at ten pings a second: thirty pings, and each waited from when it was due."""
    pinger = StalledInstances(at=5.0, until=8.0, stalled=frozenset({"web-0", "web-1"}))
    slow = sorted(ping.seconds for ping in probed(pinger, seconds=20, counts={"web": 2}) if ping.seconds > 0.05)
    assert len(slow) == pytest.approx(30, abs=1)
    assert slow[-1] == pytest.approx(3.0, abs=0.11)
    assert sum(slow) / len(slow) == pytest.approx(1.5, abs=0.1)


def test_one_stalled_instance_is_seen_by_its_share_of_the_pings_and_holds_up_no_other() -> None:
    """Of ten instances one stands still: a tenth of the pings are late, the others are answered as ever."""
    pinger = StalledInstances(at=0.0, until=30.0, stalled=frozenset({"web-3"}))
    pings = probed(pinger, seconds=30, counts={"web": 10})
    others = [ping for ping in pings if ping.instance_id != "web-3"]
    assert max(ping.seconds for ping in others) < 0.01
    assert len(pings) == pytest.approx(300, abs=2)
    assert len(pings) - len(others) == pytest.approx(30, abs=15)
    assert max(ping.seconds for ping in pings) == pytest.approx(TIMEOUT_SECONDS, abs=0.01)


def test_only_so_many_pings_are_on_their_way_to_one_instance() -> None:
    """The rest waits, with its clock running: an instance that stands still is not flooded."""
    pinger = StalledInstances(at=0.0, until=5.0, stalled=frozenset({"web-0"}))
    pings = probed(pinger, seconds=8, counts={"web": 1})
    assert pinger.most == IN_FLIGHT
    assert len(pings) == pytest.approx(80, abs=1)


def test_pings_that_are_still_on_their_way_are_waited_for() -> None:
    """What was due at the end of a rest is known before the rest is judged: it counts with the time that it took."""
    pinger = StalledInstances(at=4.0, until=6.0, stalled=frozenset({"web-0"}))
    pings = probed(pinger, seconds=5, counts={"web": 1})
    assert max(ping.seconds for ping in pings) == pytest.approx(2.0, abs=0.11)


def test_workloads_take_turns() -> None:
    """A workload with few instances gets as many pings as one with many."""
    pinger = StalledInstances(at=0.0, until=0.0, stalled=frozenset())
    pings = Counter(ping.workload for ping in probed(pinger, seconds=20, counts={"web": 40, "db": 2}))
    assert pings["web"] == pytest.approx(pings["db"], abs=1)


def test_a_stall_of_density_itself_is_seen_by_the_pings_that_were_due() -> None:
    """What was due while nothing ran is sent at once, with its age; nothing is older than a ping may take."""
    keeper = Keeper()
    clock = MockClock(rate=0)

    async def run() -> None:
        prober = Prober(ready_bus(keeper, {"web": 5}), StalledInstances(at=0, until=0, stalled=frozenset()))
        async with anyio.create_task_group() as group:
            group.start_soon(prober.run)
            for seconds in (0.05, 3.0, *[0.002] * 10, 1000.0, *[0.002] * 10):
                await anyio.wait_all_tasks_blocked()
                clock.jump(seconds)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    anyio.run(run, backend="trio", backend_options={"clock": clock})
    ages = [event.seconds for event in keeper.events if isinstance(event, ProbeMeasured)]
    assert sum(0.05 < age <= 3 for age in ages) >= 29
    assert max(ages) <= TIMEOUT_SECONDS + 0.2
    assert len(ages) <= 30 + 10 * TIMEOUT_SECONDS + 2
