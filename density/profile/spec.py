"""A profile as density uses it: immutable, in base units, every default filled in. `density.profile.load` makes it."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from density.model import EngineName, Workload

Shape = Literal["linear", "geometric", "list"]
Until = Literal["safe", "failure", "forecast"]
Missing = Literal["fail", "skip"]
LEAST_RESERVE_BYTES = 256 * 2**20
"""With less the engines or the tester may be killed before all is removed."""
LEASE_SECONDS = 30.0
"""How long an instance goes on without a word from density."""
MOST_RESERVE_BYTES = 2 * 2**30
"""What is kept by default of a large host; of a small one it would leave nothing to be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """How a run grows.

    Attributes:
        start: size of the first wave (linear, geometric).
        step: linear: every later wave's size.
        factor: geometric: each wave is this many times the one before; above 1.
        waves: list: the sizes, in order.
        max_instances: never more than this alive at once.
        max_seconds: the ramp ends after this long (0: no bound).
        settle_seconds: rest after each wave before the host is read.
        hold_seconds: how long the final count is held and probed.
        concurrency: launches in flight at once; 0 adapts to what the engine can take.
        calibrate: instances of each workload launched alone first.
    """

    shape: Shape = "geometric"
    start: int = 8
    step: int = 10
    factor: float = 2.0
    waves: tuple[int, ...] = ()
    max_instances: int = 10_000
    max_seconds: float = 0.0
    until: Until = "safe"
    settle_seconds: float = 3.0
    hold_seconds: float = 10.0
    concurrency: int = 0
    calibrate: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The part of the host that the run may use; 0: that resource is not limited."""

    memory_bytes: int = 0
    tasks: int = 0
    cpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """What the host keeps for itself and for the tester, always; of each disk at most a tenth.

    Attributes:
        memory_bytes: None: by the host's memory, as `memory_of` says.
    """

    memory_bytes: int | None = None
    tasks: int = 1600
    disk_bytes: int = 2 * 2**30
    inodes: int = 10_000
    files: int = 1000

    def memory_of(self, total_bytes: float) -> float:
        """What a host with this much memory keeps: as asked for, else an eighth of it, within bounds."""
        if self.memory_bytes is not None:
            return float(self.memory_bytes)
        return min(MOST_RESERVE_BYTES, max(LEAST_RESERVE_BYTES, total_bytes / 8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """Soft ceilings; None: not asked for. Shares are 0 to 1."""

    ready_p95_seconds: float | None = None
    probe_p99_seconds: float | None = None
    failures_share: float | None = None
    cpu_busy_share: float | None = None
    cpu_pressure_share: float | None = None
    memory_pressure_share: float | None = None
    io_pressure_share: float | None = None
    tester_lag_seconds: float | None = 1.0

    @property
    def by_launches(self) -> bool:
        """Whether one of them is judged by launches, of which it takes some."""
        return self.ready_p95_seconds is not None or self.failures_share is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Require:
    """Capacities that a run has to reach, else it has failed; 0: not required."""

    hard: int = 0
    slo: int = 0
    recommended: int = 0

    def asked(self) -> dict[str, int]:
        """Those that are required, by name."""
        return {name: least for name, least in asdict(self).items() if least}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedHost:
    """The truth of a simulated host: its limits, what an instance costs, how launches behave.

    Attributes:
        memory_bytes, tasks, files: the host's limits; used_*: what is in use before the first instance.
        costs: workload name -> resource (`memory_bytes`, `tasks`, `files`, `cpus`) -> cost of one instance.
        launch_seconds: mean time to ready of the first instance.
        launch_growth: how much longer a launch takes per 1,000 instances, as a share of launch_seconds.
        failure_share: launches that fail for no reason of resources.
        noise: standard deviation of a reading of memory, as a share of the host's memory.
        leak_bytes_per_second: memory that goes away by itself.
        other_memory_bytes, other_tasks, other_files: what something else on the host takes, from `other_from_seconds`
            of the run until `other_until_seconds` (0: to its end).
        late_share: part of an instance's memory that comes only after it is ready.
        late_seconds: time constant with which that part comes.
        seed: of all randomness.
    """

    cpus: int = 4
    memory_bytes: int = 16 * 2**30
    tasks: int = 32768
    files: int = 1_000_000
    used_memory_bytes: int = 2**30
    used_tasks: int = 300
    used_files: int = 2_000
    costs: dict[str, dict[str, float]] = field(default_factory=dict)
    launch_seconds: float = 0.3
    launch_growth: float = 0.5
    failure_share: float = 0.0
    noise: float = 0.0
    leak_bytes_per_second: float = 0.0
    other_memory_bytes: int = 0
    other_tasks: int = 0
    other_files: int = 0
    other_from_seconds: float = 0.0
    other_until_seconds: float = 0.0
    late_share: float = 0.0
    late_seconds: float = 5.0
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where engines are; empty: the platform's default.

    Attributes:
        data: the directory that takes what grows: VM disks, copies of guests.
        missing: what happens where an engine cannot be used, or no VM boots: `fail` ends the run before it starts,
            `skip` leaves out the workloads that it concerns and warns, as long as one workload can run.
    """

    docker: str = ""
    libvirt: str = ""
    data: str = ""
    missing: Missing = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a person asked for, complete.

    Attributes:
        lease_seconds: how long instances may outlive a density that was killed.
    """

    name: str
    description: str = ""
    lease_seconds: float = LEASE_SECONDS
    workloads: tuple[Workload, ...]
    ramp: Ramp = Ramp()
    slice: Slice = Slice()
    reserve: Reserve = Reserve()
    objectives: Objectives = Objectives()
    require: Require = field(default_factory=Require)
    endpoints: Endpoints = Endpoints()
    simulated: SimulatedHost = field(default_factory=SimulatedHost)

    @property
    def engines(self) -> tuple[EngineName, ...]:
        """The engines that the workloads need, each once, in the profile's order."""
        return tuple(dict.fromkeys(workload.engine for workload in self.workloads))

    def without(self, names: Collection[str]) -> "Profile":
        """The same without the workloads of these names."""
        return replace(self, workloads=tuple(each for each in self.workloads if each.name not in names))
