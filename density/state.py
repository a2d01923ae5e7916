"""The state of a run: a pure fold of its events.

`RunState.apply` is the only way to change it, and it looks at nothing but the event, so the live view, the metrics,
the ramp and the report agree, and replaying a record gives the same state again. It changes in place (copying the
instances of a run of thousands at every event would cost more than the run); it is read-only everywhere else.
"""

import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod

from density.events import (
    CeilingForecast,
    ClockStepped,
    EngineFound,
    Event,
    Forecasted,
    Held,
    HostFound,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    Stage,
    StageEntered,
    SteppedBack,
    StoodStill,
    Stopped,
    TesterMeasured,
    TornDown,
    Warned,
    WaveSettled,
    WaveStarted,
    WorkloadPrepared,
    WorkloadSkipped,
)
from density.evidence import Evidence, evidence_for
from density.model import LEASE, OWN_FAULTS, EngineInfo, Failure, OwnLimit, Phase, Workload
from density.statistics import LatencySeries
from density.sustained import HoldSeries
from density.text import last_line

RECENT_PROBES = 5000
RECENT_FAILURES = 20
RECENT_SAMPLES = 300
MOST_ENDED = 1000
DIFFERENT = 5
"""So many different last lines are kept of one kind of failure."""
_NUMBERS = re.compile(r"\d+")
"""Times, process ids and ports differ in each instance's line."""
_ENDED = frozenset({Phase.FAILED, Phase.LOST})
_REMOVED = frozenset({Phase.STOPPING, Phase.REMOVED})
IN_FLIGHT = (Phase.REQUESTED, Phase.CREATED, Phase.STARTED)
ADDRESSED = (Phase.STARTED, Phase.READY, Phase.STOPPING)
"""Phases in which an instance holds an address of its network: it gets one by being started."""


@dataclass(slots=True)
class Pool:
    """A network without a bridge: the addresses that were free on it, and the workloads that take them."""

    addresses: int
    workloads: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Tally:
    """How often a kind of failure came, and how the first of it ended: its words, last lines, exit code and signal.

    Attributes:
        others: last lines of later ones that differ in more than numbers, the first `DIFFERENT` with that of the first.
    """

    count: int
    message: str
    evidence: tuple[str, ...] = ()
    exit_code: int | None = None
    signal: str = ""
    others: list[str] = field(default_factory=list)

    def add(self, failure: Failure) -> None:
        """One more of the kind."""
        self.count += 1
        known, line = [last_line(self.evidence), *self.others], last_line(failure.evidence)
        if line and len(known) < DIFFERENT and _NUMBERS.sub("", line) not in {_NUMBERS.sub("", one) for one in known}:
            self.others.append(line)


@dataclass(slots=True)
class OwnTally:
    """How many instances of a workload failed or were lost at one limit of their own, and the highest use of them."""

    count: int
    highest: OwnLimit


@dataclass(slots=True)
class WorkloadState:
    """What became of one workload's instances.

    Attributes:
        launched: launches that came to an end, ready or failed.
        stepped_back: ready instances that the run itself removed before its teardown.
        peak: the most that were ready at once.
        created_seconds, started_seconds, ready_seconds: from the intended time of the launch, one entry an instance.
        ready_at: time to ready by what the host bore when the launch was requested.
        probed_at: round trips of probes by what it bore when they came back.
        evidence: what its launches and pings say of the objectives.
        endings: how the instances that died had ended; last_lines: what the first of them printed last.
        own_limits: instances that failed or were lost at a limit of their own, by the likeliest ceiling of each.
    """

    workload: Workload
    accelerator: str = ""
    launched: int = 0
    ready: int = 0
    failed: int = 0
    lost: int = 0
    stepped_back: int = 0
    alive: int = 0
    peak: int = 0
    created_seconds: list[float] = field(default_factory=list)
    started_seconds: list[float] = field(default_factory=list)
    ready_seconds: list[float] = field(default_factory=list)
    ready_at: LatencySeries = field(default_factory=LatencySeries)
    probed_at: LatencySeries = field(default_factory=LatencySeries)
    failures: dict[str, Tally] = field(default_factory=dict)
    kernels: Counter[str] = field(default_factory=Counter)
    evidence: Evidence = field(default_factory=Evidence)
    endings: Counter[str] = field(default_factory=Counter)
    last_lines: tuple[str, ...] = ()
    own_limits: dict[str, OwnTally] = field(default_factory=dict)


@dataclass(slots=True)
class Instance:
    """One instance.

    Attributes:
        alive, in_flight: (with itself) those ready and under way when it was requested.
        launch: its number in the workload's evidence, once its launch has come to its end.
        started_at: when the engine had started it; infinite before.
    """

    workload: str
    phase: Phase
    intended_at: float
    alive: int = 0
    in_flight: int = 1
    launch: int = -1
    started_at: float = math.inf

    @property
    def was_ready(self) -> bool:
        """Whether it became ready at some time."""
        return self.launch >= 0


@dataclass(frozen=True, slots=True)
class Point:
    """The host read once while it rested after a wave.

    Attributes:
        counts: alive instances by workload.
        values: the host's values, with the engines' fixed limits.
    """

    at: float
    counts: Mapping[str, int]
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ended:
    """An instance of the current wave that failed, or was lost.

    Attributes:
        reached: the phase that it had come to before.
        seconds: since the intended time of its launch; ran: of these, since the engine had started it.
    """

    workload: str
    reached: Phase
    failure: Failure
    seconds: float
    ran: float


@dataclass(frozen=True, slots=True)
class WaveSeen:
    """What is known of a wave when its failures have to be explained.

    Attributes:
        ended: what failed or was lost in it, the last `MOST_ENDED`; none of it by a fault of density's own.
        ready: launches that became ready.
        before: the host's values when the wave began.
        samples: the host's values since then, oldest first.
        now: the host's last values, with what objectives are held against.
    """

    ended: tuple[Ended, ...] = ()
    ready: int = 0
    before: Mapping[str, float] = field(default_factory=dict)
    samples: tuple[Mapping[str, float], ...] = ()
    now: Mapping[str, float] = field(default_factory=dict)

    @property
    def kinds(self) -> Counter[str]:
        """How many failed or were lost by kind."""
        return Counter(each.failure.kind for each in self.ended)


class AtRest(list[Point]):
    """What was read while the host rested after a wave.

    Attributes:
        memo: what was worked out of these points and those before them, kept by whoever worked it out.
    """

    __slots__ = ("memo",)

    def __init__(self, points: Iterable[Point]) -> None:
        super().__init__(points)
        self.memo: dict[object, object] = {}


@dataclass(frozen=True, slots=True)
class Peak:
    """The most instances that were ready at once."""

    count: int = 0
    per_workload: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Sensors:
    """How the host's sensors do.

    Attributes:
        seconds: sensor -> how long its last reading took.
        failures: sensor -> why the last sample could not read it.
        unread: the same at the last sample before the teardown.
        worked: sensors that could be read at some time.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    worked: set[str] = field(default_factory=set)

    def sampled(self, event: HostSampled, *, torn_down: bool) -> None:
        """One more sample."""
        self.seconds, self.failures = event.sensors, event.failures
        self.unread = self.unread if torn_down else event.failures
        self.worked.update(name for name in event.sensors if name not in event.failures)


class RunState:
    """Everything known of a run so far; see the module's text."""

    def __init__(self) -> None:
        self.run_id = self.profile_name = ""
        self.until = ""
        self.max_instances = 0
        self.density_version = ""
        self.wall = 0.0
        self.started_at = 0.0
        self.now = 0.0
        self.stage: Stage = "preflight"
        self.wave = 0
        self.target = 0
        self.wave_sizes: Mapping[str, int] = {}
        self.objectives: Mapping[str, float] = {}
        self.reserves: Mapping[str, float] = {}
        self.required: Mapping[str, int] = {}
        self.host_facts: Mapping[str, str | float] = {}
        self.engines: dict[str, EngineInfo] = {}
        self.addresses: dict[str, int] = {}
        self.pools: dict[str, Pool] = {}
        self.workloads: dict[str, WorkloadState] = {}
        self.counts: dict[str, dict[Phase, int]] = {}
        self.instances: dict[str, Instance] = {}
        self.peak = Peak()
        self.alive_at_end: Mapping[str, int] | None = None
        self.host: Mapping[str, float] = {}
        self.sensors = Sensors()
        self.samples_in_wave: deque[HostSampled] = deque(maxlen=RECENT_SAMPLES)
        self.rests: list[AtRest] = []
        self.settled: list[WaveSettled] = []
        self.forecast: tuple[CeilingForecast, ...] = ()
        self.probes: dict[str, deque[ProbeMeasured]] = {}
        self.warnings: list[str] = []
        self.skipped: dict[str, str] = {}
        self.last_failures: deque[InstanceChanged] = deque(maxlen=RECENT_FAILURES)
        self.failed_in_wave: Counter[str] = Counter()
        self.lost_in_wave: Counter[str] = Counter()
        self.own_limits_in_wave: Counter[tuple[str, str]] = Counter()
        self.ready_in_wave = 0
        self.ended_in_wave: deque[Ended] = deque(maxlen=MOST_ENDED)
        self.host_before_wave: Mapping[str, float] = {}
        self.at_stop: WaveSeen | None = None
        self.wave_started_at = 0.0
        self.last_ready_at = 0.0
        self.outcome: Stopped | None = None
        self.holds: list[Held] = []
        self.hold: HoldSeries | None = None
        self.tester: TesterMeasured | None = None
        self.lag_in_wave = self._lag_before_last = 0.0
        self.stalls: list[StoodStill] = []
        self.clock_steps: list[ClockStepped] = []
        self.torn_down: TornDown | None = None

    @property
    def alive(self) -> int:
        """Instances that are ready now."""
        return sum(workload.alive for workload in self.workloads.values())

    @property
    def alive_by_workload(self) -> dict[str, int]:
        """Instances that are ready now, by workload."""
        return {name: workload.alive for name, workload in self.workloads.items()}

    @property
    def held(self) -> Held | None:
        """The last hold that came to its end: of several only the last can have been kept."""
        return self.holds[-1] if self.holds else None

    @property
    def in_flight(self) -> int:
        """Launches under way now."""
        return sum(counts[phase] for counts in self.counts.values() for phase in IN_FLIGHT)

    @property
    def launch_rate(self) -> float:
        """Instances that became ready per second, over the current wave until its last one."""
        elapsed = self.last_ready_at - self.wave_started_at
        return self.ready_in_wave / elapsed if elapsed > 0 else 0.0

    def measures(self, *, since: float = -math.inf) -> dict[str, float]:
        """What the objectives are held against, each workload by itself, by the names that the catalogue reads.

        Times to ready and failures are those of the launches since it was measured anew, pings those at rest, with
        those of this wave after `since`. The tester's lag is the worst since the wave began, for whatever was measured
        meanwhile is in doubt.
        """
        values: dict[str, float] = {}
        for name, workload in self.workloads.items():
            pings = [probe.seconds for probe in self.probes[name] if probe.at >= since]
            values |= workload.evidence.measures(name, pings, searching=self.stage == "search")
        if self.tester:
            values["tester.lag_seconds"] = self.lag_in_wave
        return values

    @property
    def launches_measured(self) -> dict[str, int]:
        """Launches of each workload since it was last measured anew."""
        return {name: workload.evidence.launches.total for name, workload in self.workloads.items()}

    @property
    def was_late(self) -> bool:
        """Whether density itself was later in this wave than its objective allows, so that times are in doubt."""
        return self.lag_in_wave > self.objectives.get("tester_lag_seconds", math.inf)

    def values(self) -> dict[str, float]:
        """The host's last values together with `measures` and the engines' fixed limits."""
        return {**self._with_addresses(self.host), **self.measures()}

    def pool_values(self) -> dict[str, float]:
        """Use and limit of networks whose addresses no sensor of the host can count: those of this run's instances."""
        values: dict[str, float] = {}
        for name, pool in self.pools.items():
            held = (self.counts[workload][phase] for workload in pool.workloads for phase in ADDRESSED)
            values[f"network.pool.{name}.instances_count"] = float(sum(held))
            values[f"network.pool.{name}.addresses_count"] = float(pool.addresses)
        return values

    def wave_seen(self) -> WaveSeen:
        """The wave that ended the ramp as it was then; before that, the current one."""
        return self.at_stop or self._wave_now()

    def _wave_now(self) -> WaveSeen:
        return WaveSeen(
            tuple(self.ended_in_wave),
            self.ready_in_wave,
            self.host_before_wave,
            tuple(sample.values for sample in self.samples_in_wave),
            self.values(),
        )

    def _with_addresses(self, values: Mapping[str, float]) -> dict[str, float]:
        addresses = {f"network.bridge.{device}.addresses_count": float(n) for device, n in self.addresses.items()}
        return {**values, **addresses}

    def apply(self, event: Event) -> None:
        """Fold one event in; events come in the order in which they were emitted."""
        self.now = max(self.now, event.at)
        self._fold(event)

    @singledispatchmethod
    def _fold(self, event: object) -> None:
        raise TypeError(f"not an event: {event!r}")

    @_fold.register
    def _(self, event: RunStarted) -> None:
        self.run_id, self.wall, self.started_at = event.run_id, event.wall, event.at
        self.density_version, self.profile_name, self.until = event.density_version, event.profile_name, event.until
        self.max_instances = event.max_instances
        self.objectives, self.reserves, self.required = event.objectives, event.reserves, event.required
        self.workloads = {
            workload.name: WorkloadState(workload, evidence=evidence_for(event.objectives))
            for workload in event.workloads
        }
        self.counts = {workload.name: dict.fromkeys(Phase, 0) for workload in event.workloads}
        self.probes = {workload.name: deque(maxlen=RECENT_PROBES) for workload in event.workloads}

    @_fold.register
    def _(self, event: HostFound) -> None:
        self.host_facts = event.facts

    @_fold.register
    def _(self, event: StageEntered) -> None:
        self.stage = event.stage
        if event.stage == "teardown":
            self.alive_at_end = self.alive_by_workload
        self.hold = HoldSeries(event.at) if event.stage == "hold" else None
        if event.stage == "hold":
            self._measure_anew()

    @_fold.register
    def _(self, event: EngineFound) -> None:
        self.engines[event.engine.name] = event.engine

    @_fold.register
    def _(self, event: WorkloadPrepared) -> None:
        self.workloads[event.workload].accelerator = event.accelerator
        self.addresses.update({device: count for device, count in event.networks.items() if count})
        for name, count in event.pools.items():
            self.pools.setdefault(name, Pool(count)).workloads.add(event.workload)

    @_fold.register
    def _(self, event: WorkloadSkipped) -> None:
        """From here on the run is one of the other workloads."""
        for known in (self.workloads, self.counts, self.probes):
            known.pop(event.workload, None)
        self.skipped[event.workload] = event.reason
        self.warnings.append(f"{event.workload} was skipped: {event.reason}")

    @_fold.register
    def _(self, event: WaveStarted) -> None:
        self.wave, self.target, self.wave_started_at = event.wave, event.target, event.at
        self.wave_sizes = event.sizes
        self.last_ready_at = event.at
        self.failed_in_wave.clear()
        self.lost_in_wave.clear()
        self.own_limits_in_wave.clear()
        self.ready_in_wave = 0
        self.ended_in_wave.clear()
        self.host_before_wave = self.host
        self.lag_in_wave = 0.0
        self.samples_in_wave.clear()
        for probes in self.probes.values():
            probes.clear()

    @_fold.register
    def _(self, event: SteppedBack) -> None:
        self.target = event.target
        if not event.again:
            self._measure_anew()

    def _measure_anew(self) -> None:
        """What was measured at another count says nothing of this one."""
        for probes in self.probes.values():
            probes.clear()
        for workload in self.workloads.values():
            workload.evidence.clear(alive=workload.alive)
        self.lag_in_wave = 0.0

    @_fold.register
    def _(self, event: InstanceChanged) -> None:
        before = self.instances.get(event.instance_id)
        counts = self.counts[event.workload]
        if before is None:
            self.instances[event.instance_id] = Instance(
                event.workload, event.phase, event.at, self.alive, self.in_flight + 1
            )
        elif before.phase in _ENDED or before.phase is Phase.REMOVED:
            return
        else:
            counts[before.phase] -= 1
            if before.phase is Phase.READY:
                self._no_longer_ready(self.workloads[event.workload], event.phase)
        counts[event.phase] += 1
        instance = self.instances[event.instance_id]
        if event.phase in _ENDED and event.failure is not None and event.failure.kind not in OWN_FAULTS:
            reached = instance.phase if before else Phase.REQUESTED
            ran = max(0.0, event.at - instance.started_at)
            self.ended_in_wave.append(
                Ended(event.workload, reached, event.failure, event.at - instance.intended_at, ran)
            )
        instance.phase = event.phase
        self._tally(event, instance)

    def _no_longer_ready(self, workload: WorkloadState, phase: Phase) -> None:
        workload.alive -= 1
        if phase in _REMOVED and self.alive_at_end is None:
            workload.stepped_back += 1

    def _tally(self, event: InstanceChanged, instance: Instance) -> None:
        workload = self.workloads[event.workload]
        seconds = event.at - instance.intended_at
        match event.phase:
            case Phase.CREATED:
                workload.created_seconds.append(seconds)
            case Phase.STARTED:
                instance.started_at = event.at
                workload.started_seconds.append(seconds)
            case Phase.READY:
                workload.ready_at.add(instance.alive, instance.in_flight, seconds)
                instance.launch = workload.evidence.ended(seconds)
                self._ready(workload, event, seconds)
            case Phase.FAILED:
                workload.launched += 1
                workload.failed += 1
                workload.evidence.ended(None)
                self._failure(workload, event, self.failed_in_wave)
            case Phase.LOST:
                workload.lost += 1
                if event.failure is None or event.failure.kind != LEASE:
                    workload.evidence.died(instance.launch)
                if event.failure:
                    workload.endings[event.failure.ending] += 1
                    workload.last_lines = workload.last_lines or event.failure.evidence
                self._failure(workload, event, self.lost_in_wave)
            case _:
                pass

    def _ready(self, workload: WorkloadState, event: InstanceChanged, seconds: float) -> None:
        workload.launched += 1
        workload.ready += 1
        workload.alive += 1
        workload.peak = max(workload.peak, workload.alive)
        workload.ready_seconds.append(seconds)
        if kernel := event.details.get("kernel"):
            workload.kernels[kernel] += 1
        self.ready_in_wave += 1
        self.last_ready_at = event.at
        if self.alive > self.peak.count:
            self.peak = Peak(self.alive, self.alive_by_workload)

    def _failure(self, workload: WorkloadState, event: InstanceChanged, in_wave: Counter[str]) -> None:
        self.last_failures.append(event)
        if event.failure is None:
            return
        in_wave[event.failure.kind] += 1
        tally = workload.failures.setdefault(
            event.failure.kind,
            Tally(
                0,
                event.failure.message,
                event.failure.evidence,
                event.failure.exit_code,
                event.failure.signal,
            ),
        )
        tally.add(event.failure)
        self._own_limit(workload, event.failure)

    def _own_limit(self, workload: WorkloadState, failure: Failure) -> None:
        if not failure.own_limits:
            return
        own = failure.own_limits[0]
        self.own_limits_in_wave[own.ceiling, workload.workload.name] += 1
        tally = workload.own_limits.setdefault(own.ceiling, OwnTally(0, own))
        tally.count += 1
        if own.used is not None and (tally.highest.used is None or own.used > tally.highest.used):
            tally.highest = own

    @_fold.register
    def _(self, event: WaveSettled) -> None:
        self.settled.append(event)
        for name, workload in self.workloads.items():
            pings = [probe.seconds for probe in self.probes[name] if probe.at >= event.since]
            workload.evidence.look(pings, in_doubt=self.was_late)
            self.probes[name].clear()
        samples = [sample for sample in self.samples_in_wave if sample.at > event.since]
        self.rests.append(AtRest(Point(s.at, event.counts, self._with_addresses(s.values)) for s in samples))

    @_fold.register
    def _(self, event: HostSampled) -> None:
        self.host = event.values
        self.sensors.sampled(event, torn_down=self.alive_at_end is not None)
        self.host_before_wave = self.host_before_wave or event.values
        if self.alive_at_end is None:
            self.samples_in_wave.append(event)
        if self.hold:
            self.hold.add_sample(event.at, event.values)

    @_fold.register
    def _(self, event: ProbeMeasured) -> None:
        self.probes[event.workload].append(event)
        self.workloads[event.workload].probed_at.add(self.alive, self.in_flight, event.seconds)
        if self.hold:
            self.hold.add_probe(event.workload, self.alive, event.seconds)

    @_fold.register
    def _(self, event: Forecasted) -> None:
        self.forecast = event.ceilings

    @_fold.register
    def _(self, event: Warned) -> None:
        self.warnings.append(event.message)

    @_fold.register
    def _(self, event: Stopped) -> None:
        self.at_stop = self.at_stop or self._wave_now()
        self.outcome = event

    @_fold.register
    def _(self, event: Held) -> None:
        self.holds.append(event)
        self.hold = None

    @_fold.register
    def _(self, event: TesterMeasured) -> None:
        self.tester = event
        if not (self.stalls and _explains(self.stalls[-1], event)):
            self._lag_before_last = self.lag_in_wave
            self.lag_in_wave = max(self.lag_in_wave, event.lag_seconds)
        if self.hold:
            self.hold.add_lag(event.lag_seconds)

    @_fold.register
    def _(self, event: StoodStill) -> None:
        self.stalls.append(event)
        if self.tester and _explains(event, self.tester):
            self.lag_in_wave = self._lag_before_last

    @_fold.register
    def _(self, event: ClockStepped) -> None:
        self.clock_steps.append(event)

    @_fold.register
    def _(self, event: TornDown) -> None:
        self.torn_down = event


def _explains(stall: StoodStill, measured: TesterMeasured) -> bool:
    """Whether density was late because it was stopped, which says nothing of the load that it measures."""
    due = measured.at - measured.lag_seconds
    return stall.cause == "stopped" and due <= stall.at and measured.at >= stall.at - stall.seconds


def fold(events: Iterable[Event]) -> RunState:
    """The state after these events."""
    state = RunState()
    for event in events:
        state.apply(event)
    return state
