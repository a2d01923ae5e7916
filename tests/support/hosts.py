"""Random simulated hosts whose truth is known: mixed workloads, noise, leaks, late memory, ceilings close together."""

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from support.simulation import Simulated, simulate

from density.ceilings.judge import judge
from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import CeilingForecast, Forecasted, Stopped, WaveSettled, WaveStarted
from density.model import Workload
from density.profile.spec import Objectives, Profile, Ramp, Reserve, SimulatedHost
from density.ramp.decide import bounds_of, look_ahead
from density.state import fold

MIB = 2**20
GIB = 2**30
CEILINGS: Mapping[str, str] = {
    "memory_bytes": "memory.available",
    "tasks": "tasks.pid_max",
    "files": "files.file_max",
}
NOISES = (0.0, 0.0002, 0.0005, 0.001)
"""Standard deviation of a reading of memory, as a share of all memory: 0 to 24 MiB on a host of 24 GiB."""
TASKS_RESERVE, FILES_RESERVE = 400, 500


@dataclass(frozen=True)
class Truth:
    """What a random host is made to be: the ceiling that binds, and how many instances fit under it."""

    profile: Profile
    ceiling: str
    fits: int


@dataclass(frozen=True)
class Judged:
    """How a ramp on such a host went.

    Attributes:
        right: the verdict named the ceiling that truly bound; confidence: how sure it was.
        error: the forecast's, of the count at a tenth of the ramp, as a share of the truth.
        covered: the truth lay within that forecast's interval, to the whole instance.
        exact: the binding ceiling counts whole things, so its line has no noise.
        overshoot: what was taken of a reserve, as a share of the limit; 0 where none was touched.
        reached: instances at the end as a share of the truth.
    """

    seed: int
    right: bool
    confidence: float | None
    error: float
    covered: bool
    exact: bool
    overshoot: float
    reached: float
    waves: int
    fits: int


def random_host(seed: int, *, most: int = 6000) -> Truth:
    """A host on which at most so many instances fit; the seed decides everything."""
    chance = random.Random(seed)
    names = ["web", "db", "job"][: chance.choice((1, 1, 2, 3))]
    costs = {
        name: {
            "memory_bytes": chance.uniform(4, 120) * MIB,
            "tasks": chance.uniform(2, 30),
            "files": chance.uniform(5, 80),
        }
        for name in names
    }
    workloads = tuple(
        Workload(name=name, engine="simulated", share=chance.choice((1, 2, 3, 5)), ready_timeout_seconds=1e9)
        for name in names
    )
    order = ["memory_bytes", "tasks", "files"]
    chance.shuffle(order)
    fits = chance.randint(150, most)
    reach = {order[0]: fits, order[1]: fits * chance.uniform(1.01, 1.3), order[2]: fits * chance.uniform(1.2, 4)}
    taken = {resource: reach[resource] * mean_cost(workloads, costs, resource) for resource in order}
    used = {"memory_bytes": 0.05 * taken["memory_bytes"], "tasks": 300.0, "files": 2000.0}
    reserve = {"memory_bytes": 0.05 * taken["memory_bytes"], "tasks": TASKS_RESERVE, "files": FILES_RESERVE}
    limit = {resource: int(used[resource] + taken[resource] + reserve[resource]) for resource in order}
    profile = Profile(
        name=f"random-{seed}",
        workloads=workloads,
        ramp=Ramp(start=10, factor=2.0, calibrate=4, hold_seconds=20),
        reserve=Reserve(memory_bytes=int(reserve["memory_bytes"]), tasks=TASKS_RESERVE, files=FILES_RESERVE),
        simulated=SimulatedHost(
            cpus=chance.choice((4, 16, 64)),
            memory_bytes=limit["memory_bytes"],
            used_memory_bytes=int(used["memory_bytes"]),
            tasks=limit["tasks"],
            files=limit["files"],
            costs=costs,
            launch_seconds=chance.uniform(0.05, 1),
            launch_growth=chance.uniform(0, 1),
            noise=chance.choice(NOISES),
            leak_bytes_per_second=chance.choice((0, 0, 1)) * chance.uniform(0, 0.01) * limit["memory_bytes"] / 1800,
            late_share=chance.choice((0, 0.1, 0.3)),
            late_seconds=chance.uniform(1, 8),
            seed=seed,
        ),
    )
    return Truth(profile, CEILINGS[order[0]], fits)


def mean_cost(workloads: tuple[Workload, ...], costs: Mapping[str, Mapping[str, float]], resource: str) -> float:
    """Cost of one instance of the mix."""
    shares = sum(workload.share for workload in workloads)
    return sum(costs[workload.name][resource] * workload.share for workload in workloads) / shares


def judge_host(seed: int) -> Judged:
    """Run a safe ramp on a random host, and hold it against the truth."""
    truth = random_host(seed)
    run = simulate(truth.profile)
    fits = truth.fits - _leaked(truth, run)
    early = _forecast_at(run, truth, fits)
    outcome, bounds = run.state.outcome, bounds_of(truth.profile)
    ahead = look_ahead(truth.profile, run.state)
    verdict = judge(run.state, bounds, ahead.costs(), ahead.typical)
    return Judged(
        seed=seed,
        right=outcome is not None and outcome.ceiling == truth.ceiling,
        confidence=verdict.confidence if verdict else None,
        error=early.count / fits - 1,
        covered=math.floor(early.low) <= fits <= math.ceil(early.high),
        exact=truth.ceiling != "memory.available",
        overshoot=max(0.0, *_overshoots(truth.profile, run)),
        reached=run.state.peak.count / fits,
        waves=run.state.wave,
        fits=fits,
    )


def _leaked(truth: Truth, run: Simulated) -> int:
    """Instances whose room had leaked away by the end of the ramp."""
    if truth.ceiling != "memory.available":
        return 0
    ended = next(event.at for event in run.events if isinstance(event, Stopped))
    spec = truth.profile.simulated
    cost = mean_cost(truth.profile.workloads, spec.costs, "memory_bytes")
    return math.ceil(spec.leak_bytes_per_second * ended / cost)


def _forecast_at(run: Simulated, truth: Truth, fits: int) -> CeilingForecast:
    """The forecast of the binding ceiling, once a tenth of the instances were alive."""
    alive = 0
    for event in run.events:
        if isinstance(event, WaveSettled):
            alive = sum(event.counts.values())
        elif isinstance(event, Forecasted) and alive >= 0.1 * fits:
            return next(ceiling for ceiling in event.ceilings if ceiling.ceiling == truth.ceiling)
    raise AssertionError("the ramp ended before a tenth of what fits")


def _overshoots(profile: Profile, run: Simulated) -> list[float]:
    spec, reserve, lowest = profile.simulated, profile.reserve, run.host.lowest_room
    return [
        (reserve.memory_of(spec.memory_bytes) - lowest["memory_bytes"]) / spec.memory_bytes,
        (reserve.tasks - lowest["tasks"]) / spec.tasks,
        (reserve.files - lowest["files"]) / spec.files,
    ]


@dataclass(frozen=True)
class Failing:
    """How a ramp ended in which launches fail by chance, beside an objective for them.

    Attributes:
        ceiling: what ended it; by_failures: what ended it was failed launches.
        launched: launches until then; by_wave: those that had been launched by the end of each wave.
        fits: instances that truly fit.
        reached: instances at the end of the ramp as a share of what fits.
    """

    ceiling: str
    by_failures: bool
    launched: int
    by_wave: tuple[int, ...]
    fits: int
    reached: float

    def found_within(self, launches: int) -> bool:
        """Whether the objective ended the ramp by the end of the wave that has this launch: it is judged then."""
        until = next((each for each in self.by_wave if each >= launches), launches)
        return self.ceiling == "slo.failures" and self.launched <= until


async def _no_search(controller: Controller, _: SimulatedEngine) -> None:
    """How a ramp ended is known at its end."""
    await controller._bus.until(lambda state: state.outcome is not None)
    controller.interrupt()


def failing_host(seed: int, *, allowed: float, share: float) -> Failing:
    """Run a safe ramp on a random host with this share of failures, where `allowed` is the objective."""
    truth = random_host(seed, most=600)
    profile = replace(
        truth.profile,
        objectives=Objectives(failures_share=allowed),
        ramp=replace(truth.profile.ramp, hold_seconds=0),
        simulated=replace(truth.profile.simulated, failure_share=share),
    )
    run = simulate(profile, during=_no_search)
    ended = next(event for event in run.events if isinstance(event, Stopped))
    events = list(itertools.takewhile(lambda event: event is not ended, run.events))
    state = fold(events)
    waves = [sum(event.sizes.values()) for event in events if isinstance(event, WaveStarted)]
    return Failing(
        ceiling=ended.ceiling,
        by_failures=ended.by_failures,
        launched=sum(workload.launched for workload in state.workloads.values()),
        by_wave=tuple(itertools.accumulate(waves)),
        fits=truth.fits,
        reached=state.peak.count / truth.fits,
    )
