"""What a scrape costs, and that the ramp does not notice it."""

import random
import time
import urllib.request
from collections.abc import Callable, MutableSequence
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
from metrics.observed import HOST, get
from prometheus_client import CollectorRegistry, generate_latest
from support.simulation import simulate

from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import Event, HostSampled
from density.metrics import Address, MetricsServer
from density.metrics.collector import SnapshotCollector
from density.metrics.observer import Observer
from density.model import Workload
from density.profile.spec import Profile, Ramp, SimulatedHost
from density.state import RunState

WEB, DB = (Workload(name=name, engine="simulated") for name in ("web", "db"))
LARGE = SimulatedHost(memory_bytes=2**38, tasks=400_000, files=10_000_000, cpus=64)
SCRAPE_SECONDS, SCRAPE_BYTES = 0.01, 200_000
EVERY_SECONDS = 0.1


def profile(instances: int) -> Profile:
    """A ramp to so many instances, on a host that has room for them."""
    return Profile(
        name="large", workloads=(WEB, DB), ramp=Ramp(max_instances=instances, hold_seconds=2), simulated=LARGE
    )


@pytest.fixture(scope="module")
def large() -> Observer:
    """A run of 5,000 instances, amid its hold, on a host that tells as much as a real one."""
    state = RunState()
    observer = Observer(state)
    daemons = ("dockerd", "containerd", "libvirtd", "virtlogd")
    more = {name.replace("dockerd", daemon): value for name, value in HOST.items() for daemon in daemons}
    for event in simulate(profile(5000)).events:
        told = replace(event, values={**more, **event.values}) if isinstance(event, HostSampled) else event
        state.apply(told)
        observer.handle(told)
        if state.alive == 5000 and state.stage == "hold":
            break
    assert state.alive == 5000
    due = observer.due()
    assert due is not None
    observer.learn(due)
    return observer


def fastest(work: Callable[[], object]) -> float:
    """CPU seconds of this thread: what it costs where nothing else runs."""

    def once() -> float:
        started = time.thread_time()
        work()
        return time.thread_time() - started

    return min(once() for _ in range(20))


def test_a_scrape_at_five_thousand_instances_is_cheap(large: Observer) -> None:
    """Under 10 ms and 200 KB, of which the event loop's thread is held for a part only."""

    def scrape() -> bytes:
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(large.take()))
        return generate_latest(registry)

    assert len(scrape()) < SCRAPE_BYTES
    assert fastest(scrape) < SCRAPE_SECONDS
    assert fastest(large.take) < SCRAPE_SECONDS / 3


class _Steady(random.Random):
    """Trio turns the order of tasks that are ready at once by chance; never, so that one more changes no other's."""

    def shuffle(self, x: MutableSequence[Any]) -> None:
        pass


def test_a_scrape_every_100_ms_changes_nothing_in_a_ramps_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ramp of 1,000 instances has the same events at the same virtual times with scrapes over HTTP and without."""
    monkeypatch.setattr(trio._core._run, "_r", _Steady())
    waves: list[float] = []

    async def scrape(controller: Controller, _: SimulatedEngine) -> None:
        state = controller._bus.state
        async with MetricsServer(state, Address("127.0.0.1", 0)) as server:
            controller._bus._sinks = (*controller._bus._sinks, server)
            while True:
                waves.append(get(await _fetched(server.url), "density_wave"))
                await anyio.sleep(EVERY_SECONDS)

    alone = simulate(profile(1000))
    watched = simulate(profile(1000), during=scrape)
    assert _comparable(watched.events) == _comparable(alone.events)
    assert watched.state.peak.count == 1000
    assert len(waves) >= (alone.state.now - alone.state.started_at) / EVERY_SECONDS - 1
    assert set(waves) == set(map(float, range(alone.state.wave + 1)))


async def _fetched(url: str) -> str:
    """A scrape that takes no virtual time: a loop that is never idle keeps the clock where it is."""
    got: list[str] = []

    def blocking() -> str:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 — our own server
            return str(answer.read().decode())

    async def fetch() -> None:
        got.append(await anyio.to_thread.run_sync(blocking))

    async with anyio.create_task_group() as group:
        group.start_soon(fetch)
        while not got:
            await anyio.lowlevel.checkpoint()
    return got[0]


def _comparable(events: list[Event]) -> list[Event]:
    """Without what reading the host took."""
    return [replace(event, cost_seconds=0) if isinstance(event, HostSampled) else event for event in events]
