"""Runs on the simulated engine, for tests of all parts."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import trio
from trio.testing import MockClock

from density.controller.begin import begin
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.run import Controller
from density.controller.teardown import conclude, given_up
from density.controller.watchdog import Watchdog
from density.engines.base import EngineContext
from density.engines.simulated import HostModel, SimulatedEngine
from density.errors import DensityError
from density.events import Event
from density.profile.spec import Profile
from density.state import RunState

if TYPE_CHECKING:
    from density.payload.channel import Channel


During = Callable[[Controller, SimulatedEngine], Coroutine[None, None, None]]
"""What happens beside a run."""


@dataclass
class Keeper:
    """A sink that keeps every event."""

    events: list[Event]

    def handle(self, event: Event) -> None:
        self.events.append(event)


@dataclass
class Simulated:
    """A finished simulated run: its state, its events, the host as it truly was, and what ended it in error."""

    state: RunState
    events: list[Event]
    host: HostModel
    problem: DensityError | None


MakeHost = Callable[[Profile, Callable[[], float]], HostModel]
"""A host for this profile, with this clock."""


MakeWatchdog = Callable[[HostModel], Watchdog]
"""A watchdog over this host; the test lets it beat and look."""


def plain_host(profile: Profile, clock: Callable[[], float]) -> HostModel:
    """The one that ships."""
    return HostModel(profile.simulated, slice_=profile.slice, workloads=profile.workloads, clock=clock)


async def _run(
    profile: Profile, during: During | None, make_host: MakeHost, make_watchdog: MakeWatchdog | None
) -> Simulated:
    host = make_host(profile, anyio.current_time)
    context = EngineContext(
        run_id="20260101-000000-0000",
        runtime_dir=Path("/nowhere"),
        data_dir=Path("/nowhere"),
        cache_dir=Path("/nowhere"),
        channel=cast("Channel", None),  # simulated instances have no channel
    )
    keeper = Keeper([])
    bus = Bus(RunState(), [keeper])

    begin(bus, profile, run_id=context.run_id, wall=0.0)

    async with SimulatedEngine(context, host=host) as engine:
        watchdog = make_watchdog(host) if make_watchdog else None
        equipment = Equipment(
            profile=profile, engines={"simulated": engine}, host=host, pinger=engine, watchdog=watchdog
        )
        controller = Controller(equipment, run_id=context.run_id, bus=bus)
        async with anyio.create_task_group() as group:
            if during:
                group.start_soon(during, controller, engine)
            problem = await controller.run()
            group.cancel_scope.cancel()
    conclude(bus, controller.torn or given_up(bus, before=controller.removed_before), left=())
    return Simulated(bus.state, keeper.events, host, problem)


def simulate(
    profile: Profile,
    *,
    during: During | None = None,
    make_host: MakeHost = plain_host,
    make_watchdog: MakeWatchdog | None = None,
) -> Simulated:
    """Run a profile on the simulated engine in virtual time: hours take moments, and nothing sleeps for real."""
    # Trio shuffles the order of tasks that are ready at once, unless it is told not to.
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    trio._core._run._r.seed(0)
    clock = MockClock(autojump_threshold=0)
    return anyio.run(_run, profile, during, make_host, make_watchdog, backend="trio", backend_options={"clock": clock})
