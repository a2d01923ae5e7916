"""Everything that happens in a run, as immutable events; the record keeps them, `density.state` folds them.

Every event carries `at`, monotonic seconds of the run's clock. `HostSampled.values` use the names of `density.host`
(and of the simulated host): dotted, with the unit as the last word.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from density.model import EngineInfo, Failure, Phase, Workload

Stage = Literal["preflight", "calibrate", "ramp", "search", "hold", "teardown", "done"]
FEW_INSTANCES = 10.0
OutcomeName = Literal["ceiling", "max", "forecast", "duration", "interrupted", "error"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first event of a run; `wall` is UNIX seconds at `at`, so that a record can be put on a calendar."""

    at: float
    run_id: str
    wall: float
    density_version: str
    profile_name: str
    until: str
    workloads: tuple[Workload, ...]
    max_instances: int
    objectives: Mapping[str, float] = field(default_factory=dict)
    reserves: Mapping[str, float] = field(default_factory=dict)
    required: Mapping[str, int] = field(default_factory=dict)
    kind: Literal["run_started"] = "run_started"


@dataclass(frozen=True, slots=True)
class HostFound:
    """The host's fingerprint: `cpus`, `memory_bytes`, `kernel`, `cgroup_version` and what else tells hosts apart."""

    at: float
    facts: Mapping[str, str | float]
    kind: Literal["host_found"] = "host_found"


@dataclass(frozen=True, slots=True)
class StageEntered:
    """The run went on to its next stage."""

    at: float
    stage: Stage
    kind: Literal["stage_entered"] = "stage_entered"


@dataclass(frozen=True, slots=True)
class EngineFound:
    """An engine answered in preflight."""

    at: float
    engine: EngineInfo
    kind: Literal["engine_found"] = "engine_found"


@dataclass(frozen=True, slots=True)
class WorkloadPrepared:
    """A workload's image or guest exists now; `accelerator`, `networks` and `pools` as in `density.model.Prepared`."""

    at: float
    workload: str
    accelerator: str
    networks: Mapping[str, int]
    seconds: float
    pools: Mapping[str, int] = field(default_factory=dict)
    kind: Literal["workload_prepared"] = "workload_prepared"


@dataclass(frozen=True, slots=True)
class WorkloadSkipped:
    """A workload that cannot run here is left out, as the profile allows (`missing = "skip"`): the others go on."""

    at: float
    workload: str
    reason: str
    kind: Literal["workload_skipped"] = "workload_skipped"


@dataclass(frozen=True, slots=True)
class WaveStarted:
    """A wave is about to be launched: how many of each workload, and the count it aims at."""

    at: float
    wave: int
    sizes: Mapping[str, int]
    target: int
    kind: Literal["wave_started"] = "wave_started"


@dataclass(frozen=True, slots=True)
class InstanceChanged:
    """An instance went to another phase. For `requested`, `at` is the intended time of the launch."""

    at: float
    instance_id: str
    workload: str
    phase: Phase
    failure: Failure | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["instance_changed"] = "instance_changed"


@dataclass(frozen=True, slots=True)
class WaveSettled:
    """A wave's launches are over and the host came to rest.

    Attributes:
        since: when the settling time began; the samples after it were taken at rest.
        counts: alive instances by workload.
        values: host values, averaged over the samples of the settling time.
        failed: launches of this wave that failed, by failure kind.
    """

    at: float
    since: float
    wave: int
    counts: Mapping[str, int]
    values: Mapping[str, float]
    failed: Mapping[str, int]
    kind: Literal["wave_settled"] = "wave_settled"

    @property
    def count(self) -> int:
        """Alive instances."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class SteppedBack:
    """The newest instances are about to be removed: how many of each workload, and the count that stays.

    Attributes:
        again: the same count will be measured once more: what was measured of it still counts.
    """

    at: float
    sizes: Mapping[str, int]
    target: int
    again: bool = False
    kind: Literal["stepped_back"] = "stepped_back"


@dataclass(frozen=True, slots=True)
class HostSampled:
    """The host's values at one moment, and what taking them cost.

    Attributes:
        sensors: sensor -> seconds that its last reading took.
        failures: sensor -> why it could not be read.
    """

    at: float
    values: Mapping[str, float]
    cost_seconds: float
    sensors: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["host_sampled"] = "host_sampled"


@dataclass(frozen=True, slots=True)
class ProbeMeasured:
    """One ping round trip to a ready instance."""

    at: float
    instance_id: str
    workload: str
    seconds: float
    kind: Literal["probe_measured"] = "probe_measured"


@dataclass(frozen=True, slots=True)
class CeilingForecast:
    """One ceiling of a forecast: the total count at which it would be reached, going on in the same mix.

    Attributes:
        ceiling: id of the catalogue; subject: which one of several (a bridge, a daemon), else empty.
        count: estimate; low, high: its 95 % interval; infinite where the use does not grow.
        typical: an expected cost stands in for what the run could not measure yet, or not in the noise; then low and
            high are how far off that may be, and no interval.
    """

    ceiling: str
    subject: str
    used: float
    limit: float
    reserve: float
    count: float
    low: float
    high: float
    typical: bool = False

    @property
    def is_vague(self) -> bool:
        """Whether the interval is wider than the count itself (and than a few instances): no answer yet."""
        width = self.high - self.low
        return not self.typical and math.isfinite(self.count) and width > max(self.count, FEW_INSTANCES)


@dataclass(frozen=True, slots=True)
class Forecasted:
    """The forecast after a wave, nearest ceiling first."""

    at: float
    ceilings: tuple[CeilingForecast, ...]
    kind: Literal["forecasted"] = "forecasted"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the person should know; also in the result's `warnings`."""

    at: float
    message: str
    kind: Literal["warned"] = "warned"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The ramp ended, and why; `ceiling` and `subject` name what bound where a ceiling did.

    Attributes:
        by_failures: instances that failed or were lost ended it, and the ceiling is what explains them best.
    """

    at: float
    outcome: OutcomeName
    reason: str
    ceiling: str = ""
    subject: str = ""
    by_failures: bool = False
    kind: Literal["stopped"] = "stopped"


@dataclass(frozen=True, slots=True)
class Held:
    """A hold is over; where it failed, another one with fewer instances may follow.

    Attributes:
        counts_before: alive instances by workload at its start.
        counts_after: those of them that stayed alive until its end, by the engines' own lists.
        missed: objectives and reserves that were not kept at any time of it, in words.
        kept: nothing died, every objective and every reserve was kept.
        since: when it began.
        ceilings: ids of the ceilings in `missed`, in the same order.
        crossed: whether one of them is a critical ceiling whose reserve was crossed.
        unwatched: seconds of it in which density itself did not run, so that it proves nothing of the count.
    """

    at: float
    counts_before: Mapping[str, int]
    counts_after: Mapping[str, int]
    missed: tuple[str, ...]
    kept: bool
    since: float = 0.0
    ceilings: tuple[str, ...] = ()
    crossed: bool = False
    unwatched: float = 0.0
    kind: Literal["held"] = "held"

    @property
    def died(self) -> int:
        """Instances that did not stay alive."""
        return sum(self.counts_before.values()) - sum(self.counts_after.values())


@dataclass(frozen=True, slots=True)
class TesterMeasured:
    """The tester's own cost, how long after its beat its last sample was taken, and the latest one so far.

    Attributes:
        cpu_seconds: of its process, since the run's first sample; None where it cannot be read, as on a simulated host.
        rss_bytes: memory of its process; None likewise.
        missed_beats: samples of the whole run so far that were due while an earlier one was still late.
    """

    at: float
    cpu_seconds: float | None
    rss_bytes: float | None
    lag_seconds: float
    max_lag_seconds: float
    missed_beats: int = 0
    kind: Literal["tester_measured"] = "tester_measured"


@dataclass(frozen=True, slots=True)
class StoodStill:
    """density itself did not run for so many seconds until now: nothing was measured, no lease renewed.

    Attributes:
        cause: it was stopped, as by SIGSTOP; it was starved, waiting for a CPU; or its own work kept it busy.
    """

    at: float
    seconds: float
    cause: Literal["stopped", "starved", "busy"]
    kind: Literal["stood_still"] = "stood_still"


@dataclass(frozen=True, slots=True)
class ClockStepped:
    """The host's calendar clock jumped, such as when it was set: `wall` is UNIX seconds at `at`, by the clock after it.

    Attributes:
        seconds: by how much; negative: back.
    """

    at: float
    wall: float
    seconds: float
    kind: Literal["clock_stepped"] = "clock_stepped"


@dataclass(frozen=True, slots=True)
class TornDown:
    """Everything was removed, or not: names of what is left."""

    at: float
    removed: int
    left: tuple[str, ...]
    seconds: float
    kind: Literal["torn_down"] = "torn_down"


Event = (
    RunStarted
    | HostFound
    | StageEntered
    | EngineFound
    | WorkloadPrepared
    | WorkloadSkipped
    | WaveStarted
    | SteppedBack
    | InstanceChanged
    | WaveSettled
    | HostSampled
    | ProbeMeasured
    | Forecasted
    | Warned
    | Stopped
    | Held
    | TesterMeasured
    | StoodStill
    | ClockStepped
    | TornDown
)
