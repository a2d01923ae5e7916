"""Runs of Docker containers on a daemon that misbehaves, and what must hold of their end whatever it did."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from engines.contract import short_directory
from support.fake_docker import served
from support.lying_docker import IMAGE, HonestDocker, LyingDocker, Mode

from density.controller.begin import begin
from density.controller.bus import Bus
from density.controller.equipment import Equipment
from density.controller.run import Controller, as_problem
from density.controller.teardown import Torn, conclude, given_up
from density.engines.base import EngineContext
from density.engines.docker import DockerEngine, removal
from density.engines.docker.session import Patience
from density.engines.simulated import HostModel
from density.errors import DensityError, EngineUnavailable, UsageError
from density.events import Stopped
from density.model import INTERNAL, Phase, Readiness, Workload
from density.payload.channel import Channel
from density.profile.spec import Profile, Ramp
from density.state import RunState

QUICK = Patience(
    hello=0.5, answer=0.5, work=0.5, silence=0.5, give_up=0.2, leave=0.5, gone=1.0, farewell=0.2
)  # fmt: skip
"""Seconds where a run has minutes."""
BOUND_SECONDS = 30.0
"""For a whole run with that patience, of which dozens go on at once."""
PLAIN = Workload(name="r", engine="docker", image=IMAGE, network="bridge", ready_timeout_seconds=1.0)
WORKLOADS = tuple(
    replace(PLAIN, name=by, ready=Readiness(by, argument))  # type: ignore[arg-type]  # each is one of its literals
    for by, argument in (("running", ""), ("log", "up"), ("healthy", ""))
)
PROFILE = Profile(
    name="lies",
    workloads=WORKLOADS,
    ramp=Ramp(shape="linear", start=3, step=3, max_instances=9, settle_seconds=0.02, hold_seconds=0.05, calibrate=1),
)
AT_ONCE = 12
FIRST_CONTACT = frozenset({"version", "info", "network", "image"})
"""Endpoints that are asked before anything is launched."""


@dataclass
class Ended:
    """How a run ended."""

    state: RunState
    problem: DensityError | None
    torn: Torn
    seconds: float
    left: int

    @property
    def code(self) -> int:
        """The exit code that it comes to, but for what was required of it."""
        if self.problem is not None:
            return self.problem.exit_code
        return 4 if self.torn.left else 0


async def run_on(
    daemon: HonestDocker,
    directory: Path,
    *,
    patience: Patience = QUICK,
    profile: Profile = PROFILE,
    in_hold: Callable[[HonestDocker], object] = lambda _: None,
) -> Ended:
    """A whole run, from entering the engine to its teardown.

    Args:
        daemon: is asked over a socket.
        directory: for that socket.
        patience: of the engine.
        profile: what is run.
        in_hold: what happens to the daemon once the last count is held.
    """
    began = anyio.current_time()
    bus = Bus(RunState(), [])
    begin(bus, profile, run_id="r1", wall=time.time())
    problem: DensityError | None = None
    torn: Torn | None = Torn(began)

    async def amid_the_hold() -> None:
        await bus.until(lambda state: state.stage == "hold")
        await anyio.to_thread.run_sync(in_hold, daemon)

    host = HostModel(profile.simulated, slice_=profile.slice, workloads=(), clock=anyio.current_time)
    with served(directory, daemon):
        async with Channel(directory / "channel") as channel:
            context = EngineContext(
                run_id="r1", runtime_dir=directory, cache_dir=directory, data_dir=directory, channel=channel
            )
            endpoint = f"unix://{directory}/docker.sock"
            try:
                async with DockerEngine(context, endpoint=endpoint, patience=patience) as engine:
                    equipment = Equipment(profile=profile, engines={"docker": engine}, host=host, pinger=channel)
                    controller = Controller(equipment, run_id="r1", bus=bus)
                    async with anyio.create_task_group() as group:
                        group.start_soon(amid_the_hold)
                        problem = await controller.run()
                        group.cancel_scope.cancel()
                    torn = controller.torn
            except Exception as error:  # noqa: BLE001 — as a session does
                problem = as_problem(error)
        daemon.close()
    if bus.state.outcome is None:
        bus.emit(Stopped(anyio.current_time(), "error", str(problem)))
    torn = torn or given_up(bus, before=controller.removed_before)
    conclude(bus, torn, left=())
    return Ended(bus.state, problem, torn, anyio.current_time() - began, len(daemon.containers))


def faults(ended: Ended, mode: Mode | None = None) -> Iterator[str]:
    """What is wrong with the end of a run, whatever the daemon did."""
    state = ended.state
    if ended.problem is not None and not isinstance(ended.problem, EngineUnavailable | UsageError):
        yield f"{type(ended.problem).__name__}: {ended.problem}"
    if ended.seconds > BOUND_SECONDS:
        yield f"took {ended.seconds:.1f} s"
    if any(INTERNAL in tally.failures for tally in state.workloads.values()):
        yield "failures of density's own"
    if said := [each for each in state.warnings if "density itself" in each]:
        yield str(said)
    if mode and mode.endpoint in FIRST_CONTACT and state.instances and ended.problem:
        yield "launched all the same"
    yield from miscounted(ended)


def miscounted(ended: Ended) -> Iterator[str]:
    """Where counts do not add up: each launch was ready or failed, each instance has ended, or it is said of it."""
    requested = Counter(each.workload for each in ended.state.instances.values())
    for name, tally in ended.state.workloads.items():
        if requested[name] != tally.ready + tally.failed:
            yield f"{name}: requested {requested[name]}, ready {tally.ready}, failed {tally.failed}"
    if ended.torn.left:
        return
    phases = [each.phase for each in ended.state.instances.values()]
    if any(phase not in {Phase.FAILED, Phase.LOST, Phase.REMOVED} for phase in phases):
        yield f"not ended: {phases}"
    if not ended.problem and ended.left:
        yield f"{ended.left} containers are left, and nothing is said of them"


async def run_on_each(modes: Iterable[Mode], monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A run on a daemon of each mode, several at once; mode -> what is wrong with its end."""
    monkeypatch.setattr(removal, "REMOVE_SECONDS", 0.3)
    monkeypatch.setattr(removal, "STALLED_SECONDS", 0.5)
    monkeypatch.setattr(removal, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("density.controller.teardown.NEWS_SECONDS", 0.5)
    monkeypatch.setattr("density.controller.away.AWAY_SECONDS", 1.0)
    limiter = anyio.CapacityLimiter(AT_ONCE)
    found: dict[str, list[str]] = {}

    async def one(mode: Mode) -> None:
        async with limiter:
            with short_directory() as directory:
                ended = await run_on(LyingDocker(mode), directory)
        found[mode.name] = list(faults(ended, mode))

    async with anyio.create_task_group() as group:
        for mode in modes:
            group.start_soon(one, mode)
    return found
