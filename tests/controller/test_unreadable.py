"""A host that cannot be read: nothing is launched blindly, and Ctrl-C works while a sensor hangs."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from support.simulation import Keeper, simulate

from density.ceilings.catalog import CATALOG
from density.controller.begin import begin
from density.controller.bus import Bus
from density.controller.equip import ThreadedHost
from density.controller.equipment import Equipment
from density.controller.run import Controller
from density.controller.sampler import CRITICAL, CRITICAL_DISKS
from density.engines.base import EngineContext
from density.engines.simulated import HostModel, SimulatedEngine
from density.errors import HostUnreadable
from density.events import HostSampled, InstanceChanged, Stopped, Warned
from density.host import HostReader
from density.host.reading import Sample
from density.model import Phase, Workload
from density.profile.spec import Profile, Ramp, SimulatedHost
from density.state import RunState

if TYPE_CHECKING:
    from density.payload.channel import Channel

PROFILE = Profile(
    name="blind",
    workloads=(Workload(name="web", engine="simulated"),),
    ramp=Ramp(start=5, factor=1.5, settle_seconds=2, hold_seconds=5, max_instances=2000),
    simulated=SimulatedHost(memory_bytes=64 * 2**30, launch_seconds=0.3),
)


class Blocked:
    """A sensor that blocks its thread until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked = threading.Event()

    def read(self) -> Mapping[str, float]:
        self.asked.set()
        self.released.wait(30)
        return {}


def test_a_host_that_stops_answering_ends_the_launching() -> None:
    """The last launch comes at most five seconds after the last sample; the outcome is an error that says so."""

    async def hang(controller: Controller, engine: SimulatedEngine) -> None:
        async def never(*, thorough: bool) -> Sample:
            await anyio.sleep_forever()
            raise AssertionError

        await anyio.sleep(20)
        controller._equipment.host.read = never  # type: ignore[method-assign]

    run = simulate(PROFILE, during=hang)
    samples = [event.at for event in run.events if isinstance(event, HostSampled)]
    launches = [e.at for e in run.events if isinstance(e, InstanceChanged) and e.phase is Phase.REQUESTED]
    stopped = next(event for event in run.events if isinstance(event, Stopped))
    assert isinstance(run.problem, HostUnreadable)
    assert run.problem.exit_code == 5
    assert stopped.outcome == "error"
    assert max(launches) <= max(samples) + 5
    assert max(samples) + 5 <= stopped.at <= max(samples) + 6
    assert run.problem.seconds == pytest.approx(5, abs=0.5)
    assert run.host.alive == 0


def test_a_hiccup_ends_nothing() -> None:
    """A host that does not answer for three seconds, once, is read on."""

    async def hiccup(controller: Controller, engine: SimulatedEngine) -> None:
        host = controller._equipment.host
        read = host.read

        async def slow(*, thorough: bool) -> Sample:
            host.read = read  # type: ignore[method-assign]
            await anyio.sleep(3)
            return await read(thorough=thorough)

        await anyio.sleep(20)
        host.read = slow  # type: ignore[method-assign]

    run = simulate(replace(PROFILE, ramp=replace(PROFILE.ramp, max_instances=60)), during=hiccup)
    assert run.problem is None
    assert run.state.outcome is not None
    assert run.state.outcome.outcome == "max"


def hanging(name: str) -> Equipment:
    """Equipment of PROFILE whose host has, beside true values, a sensor that hangs."""
    host = HostModel(PROFILE.simulated, slice_=PROFILE.slice, workloads=PROFILE.workloads, clock=anyio.current_time)

    async def read(*, thorough: bool) -> Sample:
        seconds = anyio.current_time()
        hung = {name: seconds - 10} if seconds > 10 else {}
        return Sample(host.values(), {name: 1.0}, dict.fromkeys(hung, "no answer"), hung)

    host.read = read  # type: ignore[method-assign]
    context = EngineContext(
        run_id="r",
        runtime_dir=Path("/nowhere"),
        data_dir=Path("/nowhere"),
        cache_dir=Path("/nowhere"),
        channel=cast("Channel", None),
    )
    engine = SimulatedEngine(context, host=host)
    return Equipment(profile=PROFILE, engines={"simulated": engine}, host=host, pinger=engine)


@pytest.mark.parametrize(
    ("name", "stops"),
    [("disk.docker", True), ("memory", True), ("daemon.libvirtd.maps", False), ("network.conntrack", False)],
)
def test_a_sensor_of_a_critical_ceiling_stops_the_launching(name: str, *, stops: bool) -> None:
    """A dead disk is stopped for after five seconds; what cannot take the host down is only warned of, once."""

    async def quiet(controller: Controller, engine: SimulatedEngine) -> None:
        controller._sampler._host = hanging(name).host

    short = replace(PROFILE, ramp=replace(PROFILE.ramp, max_instances=100))
    run = simulate(short, during=quiet)
    warned = [event for event in run.events if isinstance(event, Warned) and f"sensor {name} failed" in event.message]
    assert len(warned) == 1
    assert isinstance(run.problem, HostUnreadable) is stops
    if isinstance(run.problem, HostUnreadable):
        assert run.problem.sensors == (name,)


def test_every_critical_ceiling_has_its_sensor_among_the_critical() -> None:
    """What can take the host down is known by the first word of the values that it is read from."""
    critical = {ceiling.id.partition(".")[0] for ceiling in CATALOG if ceiling.lethal}
    subjects = {name for ceiling in CATALOG for name in ceiling.lethal_for}
    critical |= {name if name == "tester" else f"daemon.{name}" for name in subjects}
    assert critical == CRITICAL | {CRITICAL_DISKS.rstrip(".")}


async def _interrupt_while_it_hangs(tmp_path: Path) -> float:
    """Seconds from the interrupt to the end of a run whose sensor hangs all the while."""
    blocked = Blocked()
    reader = HostReader(disks={"runs": tmp_path})
    reader._add("disk.dead", lambda: blocked)
    model = HostModel(PROFILE.simulated, slice_=PROFILE.slice, workloads=PROFILE.workloads, clock=anyio.current_time)
    context = EngineContext(
        run_id="r", runtime_dir=tmp_path, data_dir=tmp_path, cache_dir=tmp_path, channel=cast("Channel", None)
    )
    bus = Bus(RunState(), [Keeper([])])
    begin(bus, PROFILE, run_id="r", wall=0.0)
    try:
        async with SimulatedEngine(context, host=model) as engine:
            equipment = Equipment(
                profile=PROFILE, engines={"simulated": engine}, host=ThreadedHost(reader), pinger=engine
            )
            controller = Controller(equipment, run_id="r", bus=bus)
            async with anyio.create_task_group() as group:
                group.start_soon(controller.run)
                await anyio.to_thread.run_sync(blocked.asked.wait, 5)
                at = time.monotonic()
                controller.interrupt()
        assert not blocked.released.is_set()
        assert bus.state.outcome is not None
        assert bus.state.outcome.outcome == "interrupted"
        return time.monotonic() - at
    finally:
        blocked.released.set()


def test_an_interrupt_does_not_wait_for_a_sensor_that_hangs(tmp_path: Path) -> None:
    """The run is torn down at once, while the sensor's thread is still blocked."""
    assert anyio.run(_interrupt_while_it_hangs, tmp_path) < 1.0
