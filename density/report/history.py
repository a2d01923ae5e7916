"""How a run came to be what it is: what the record tells beyond the state, wave by wave and second by second."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatchmethod

from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    Stage,
    StageEntered,
    WaveSettled,
    WaveStarted,
)
from density.model import Failure, Phase
from density.state import RunState

_ENDED = frozenset({Phase.FAILED, Phase.LOST, Phase.REMOVED})
CANCELLED = "cancelled"
"""The kind of failure of a launch that the run itself gave up at its end."""


@dataclass(slots=True)
class Life:
    """One instance; times are those of the run's clock, None where it never came so far.

    Attributes:
        number: of launches before it.
        wave: that it was launched in.
    """

    instance_id: str
    workload: str
    number: int
    wave: int
    phase: Phase
    requested_at: float
    created_at: float | None = None
    started_at: float | None = None
    ready_at: float | None = None
    ended_at: float | None = None
    failure: Failure | None = None

    @property
    def ready_seconds(self) -> float | None:
        """From the intended time of the launch."""
        return None if self.ready_at is None else self.ready_at - self.requested_at


@dataclass(slots=True)
class Wave:
    """One wave: what was launched together, and what became of it.

    Attributes:
        settled: the rest after it; None where the run ended before.
        ready: workload -> times to ready of its instances that became it.
        failed: launches of it that failed, whenever.
        lost: instances, of any wave, that were lost from its start to the next one's.
    """

    number: int
    stage: Stage
    started_at: float
    sizes: Mapping[str, int]
    target: int
    ready: dict[str, list[float]] = field(default_factory=dict)
    last_ready_at: float = 0.0
    failed: int = 0
    lost: int = 0
    settled: WaveSettled | None = None

    @property
    def ready_seconds(self) -> list[float]:
        """Times to ready of all its workloads."""
        return [seconds for times in self.ready.values() for seconds in times]

    @property
    def alive(self) -> int | None:
        """How many were ready when it had settled; None where it did not."""
        return None if self.settled is None else self.settled.count

    @property
    def rate(self) -> float | None:
        """Instances that became ready per second, until the last of them."""
        elapsed = self.last_ready_at - self.started_at
        return len(self.ready_seconds) / elapsed if self.ready and elapsed > 0 else None


@dataclass(frozen=True, slots=True)
class Rest:
    """The host at rest: what it read on average, and the probes of that time, in seconds."""

    at: float
    wave: int
    count: int
    values: Mapping[str, float]
    probes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """A forecast, and how many instances were ready when it was made."""

    at: float
    count: int
    ceilings: tuple[CeilingForecast, ...]


class History:
    """Collects, beside the fold of the state and from the same events."""

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}
        self.waves: list[Wave] = []
        self.rests: list[Rest] = []
        self.guesses: list[Guess] = []
        self.counts: list[tuple[float, int]] = []
        self.stages: list[tuple[float, Stage]] = []
        self.samples: list[HostSampled] = []
        self.probes = 0
        self._recent: list[ProbeMeasured] = []

    def add(self, event: Event, state: RunState) -> None:
        """Take one event, which the state has folded already."""
        self._add(event, state)

    @singledispatchmethod
    def _add(self, event: object, state: RunState) -> None:
        """Events that only the state needs."""

    @_add.register
    def _(self, event: StageEntered, state: RunState) -> None:  # noqa: ARG002 — the dispatched functions' shape
        self.stages.append((event.at, event.stage))

    @_add.register
    def _(self, event: WaveStarted, state: RunState) -> None:
        self.waves.append(Wave(event.wave, state.stage, event.at, event.sizes, event.target))

    @_add.register
    def _(self, event: WaveSettled, state: RunState) -> None:  # noqa: ARG002
        probes = tuple(probe.seconds for probe in self._recent if probe.at > event.since)
        self.rests.append(Rest(event.at, event.wave, event.count, event.values, probes))
        self._recent.clear()
        if self.waves and self.waves[-1].settled is None:
            self.waves[-1].settled = event

    @_add.register
    def _(self, event: Forecasted, state: RunState) -> None:
        self.guesses.append(Guess(event.at, state.alive, event.ceilings))

    @_add.register
    def _(self, event: HostSampled, state: RunState) -> None:  # noqa: ARG002
        self.samples.append(event)

    @_add.register
    def _(self, event: ProbeMeasured, state: RunState) -> None:  # noqa: ARG002
        self.probes += 1
        self._recent.append(event)

    @_add.register
    def _(self, event: InstanceChanged, state: RunState) -> None:
        life = self.lives.get(event.instance_id)
        if life is None:
            wave = len(self.waves) - 1
            life = Life(event.instance_id, event.workload, len(self.lives), wave, event.phase, event.at)
            self.lives[event.instance_id] = life
        elif life.phase in _ENDED:
            return
        life.phase = event.phase
        self._mark(life, event)
        if not self.counts or self.counts[-1][1] != state.alive:
            self.counts.append((event.at, state.alive))

    def _mark(self, life: Life, event: InstanceChanged) -> None:
        match event.phase:
            case Phase.CREATED:
                life.created_at = event.at
            case Phase.STARTED:
                life.started_at = event.at
            case Phase.READY:
                life.ready_at = event.at
                if 0 <= life.wave < len(self.waves):
                    wave = self.waves[life.wave]
                    wave.ready.setdefault(life.workload, []).append(event.at - life.requested_at)
                    wave.last_ready_at = event.at
            case Phase.FAILED | Phase.LOST | Phase.REMOVED:
                life.ended_at, life.failure = event.at, event.failure
                if event.phase is Phase.FAILED and 0 <= life.wave < len(self.waves):
                    self.waves[life.wave].failed += 1
                if event.phase is Phase.LOST and self.waves:
                    self.waves[-1].lost += 1
            case _:
                pass


def collect(events: Iterable[Event]) -> tuple[RunState, History]:
    """The state after these events, and the history that led there."""
    state, history = RunState(), History()
    for event in events:
        state.apply(event)
        history.add(event, state)
    return state, history
