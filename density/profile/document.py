"""The tables of a profile's TOML: every key with its kind and what it means.

Nothing here is required and nothing depends on another key: `density.profile.check` judges that, so that one pass finds
every problem. Defaults are those of `density.profile.spec`.
"""

from pydantic import BaseModel, ConfigDict, Field

from density.profile.scalars import (
    AcceleratorWord,
    Bytes,
    Concurrency,
    Count,
    Cpus,
    DiskIoWord,
    EngineWord,
    Factor,
    FilePath,
    GuestWord,
    Image,
    MissingWord,
    Name,
    Period,
    PeriodGoal,
    Positive,
    Ratio,
    Ready,
    Seconds,
    ShapeWord,
    Share,
    ShareGoal,
    Text,
    UntilWord,
    Variable,
    Weight,
    Word,
)
from density.profile.spec import LEASE_SECONDS, Endpoints, Objectives, Ramp, Require, Reserve, SimulatedHost, Slice

_RAMP, _SLICE, _RESERVE, _OBJECTIVES = Ramp(), Slice(), Reserve(), Objectives()
_REQUIRE, _ENDPOINTS, _SIMULATED = Require(), Endpoints(), SimulatedHost()


class Table(BaseModel):
    """A TOML table whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class RampTable(Table):
    """How the run grows, wave by wave, and when it stops."""

    shape: ShapeWord = _RAMP.shape
    """How waves grow: by a fixed step, by a factor, or as listed."""
    start: Positive = _RAMP.start
    """Instances in the first wave (linear, geometric)."""
    step: Positive = _RAMP.step
    """Instances in every later wave (linear)."""
    factor: Factor = _RAMP.factor
    """Each wave is this many times the one before, above 1 (geometric)."""
    waves: tuple[Positive, ...] = _RAMP.waves
    """Instances in each wave, in order (list)."""
    max: Positive = _RAMP.max_instances
    """Never more instances than this alive at once."""
    max_time: Seconds = _RAMP.max_seconds
    """The ramp ends after this long; a duration, 0 for no bound."""
    until: UntilWord = _RAMP.until
    """Where to stop: "safe" at a reserve or an objective, "failure" when launches fail (the tester's reserve is kept
    all the same), "forecast" as soon as the forecast has converged."""
    settle: Seconds = _RAMP.settle_seconds
    """Rest after each wave before the host is read; a duration."""
    hold: Seconds = _RAMP.hold_seconds
    """How long the final count is held and probed; a duration."""
    concurrency: Concurrency = _RAMP.concurrency
    """Launches in flight at once; "auto" adapts to what the engines can take."""
    calibrate: Count = _RAMP.calibrate
    """Instances of each workload that are launched alone first, to learn what one costs; 0 for no calibration."""


class SliceTable(Table):
    """The part of the host that the run may use; the kernel enforces it, so it is a real ceiling."""

    memory: Bytes = _SLICE.memory_bytes
    """Memory of all instances together; a size, 0 for no limit."""
    tasks: Count = _SLICE.tasks
    """Processes and threads of all instances together; 0 for no limit."""
    cpus: Cpus = _SLICE.cpus
    """CPUs of all instances together; 0 for no limit."""


class ReserveTable(Table):
    """What the host keeps for itself and for the tester, always, also with until = "failure"."""

    memory: Bytes | None = _RESERVE.memory_bytes
    """Memory that stays available; a size, 256MiB or more. By default an eighth of the host's memory, at least 256MiB
    and at most 2GiB."""
    tasks: Count = _RESERVE.tasks
    """Processes and threads that can still be made; 500 or more."""
    disk: Bytes = _RESERVE.disk_bytes
    """Space that stays free on each disk, at most a tenth of it; a size."""
    inodes: Count = _RESERVE.inodes
    """Files that can still be made on the disk."""
    files: Count = _RESERVE.files
    """Files that can still be opened."""


class ObjectivesTable(Table):
    """Soft ceilings: what has to stay true; "off" takes one away. A run that stops at one says how many kept it."""

    ready_p95: PeriodGoal = _OBJECTIVES.ready_p95_seconds
    """95 % of each workload's instances are ready within this, counted from when their launch was due; a duration."""
    probe_p99: PeriodGoal = _OBJECTIVES.probe_p99_seconds
    """99 % of the pings of each workload's instances come back within this; only the payload answers; a duration."""
    failures: ShareGoal = _OBJECTIVES.failures_share
    """At most this share of each workload's launches fail, or their instances die; a share."""
    cpu_busy: ShareGoal = _OBJECTIVES.cpu_busy_share
    """At most this share of the host's CPUs is busy; a share."""
    cpu_pressure: ShareGoal = _OBJECTIVES.cpu_pressure_share
    """Runnable work waits for a CPU at most this share of the time (PSI); a share."""
    memory_pressure: ShareGoal = _OBJECTIVES.memory_pressure_share
    """Work waits for memory at most this share of the time (PSI); a share."""
    io_pressure: ShareGoal = _OBJECTIVES.io_pressure_share
    """Work waits for disks at most this share of the time (PSI); a share."""
    tester_lag: PeriodGoal = _OBJECTIVES.tester_lag_seconds
    """The tester's own clock is never later than this, or its numbers are in doubt; a duration."""


class RequireTable(Table):
    """Capacities that have to be reached: with fewer instances the run has failed (exit code 3)."""

    hard: Count = _REQUIRE.hard
    """As many have to run, or fit by the forecast; 0 for any."""
    slo: Count = _REQUIRE.slo
    """As many have to keep every objective; 0 for any."""
    recommended: Count = _REQUIRE.recommended
    """As many have to last through the hold with every objective kept and the reserve untouched; 0 for any."""


class EnginesTable(Table):
    """Where the engines are, if not where this platform has them, and what if one is missing."""

    docker: Text = ""
    """The Docker engine, such as "unix:///var/run/docker.sock"."""
    libvirt: Text = ""
    """The libvirt daemon, such as "qemu:///system"; "lxc:///system" makes containers, not VMs, of guest = "none"."""
    data: FilePath = _ENDPOINTS.data
    """The directory for what grows, such as VM disks: on a disk with room, not in memory. By default
    /var/lib/density/data, and ~/.local/state/density/data of a normal user."""
    missing: MissingWord = _ENDPOINTS.missing
    """Where an engine cannot be used, or a VM does not boot: "fail" ends the run before it starts, "skip" leaves the
    workloads out that this concerns."""


class WorkloadTable(Table):
    """A named kind of instance."""

    engine: EngineWord | None = None
    """What runs it: Docker containers, libvirt VMs, plain processes, or a simulated host."""
    share: Weight = 1.0
    """Its part of every wave, relative to the other workloads' shares; above 0."""
    image: Image | None = None
    """Containers: any image reference, or "payload" for density's own (default). VMs with guest = "disk": the path of a
    disk image, relative to where density is started; every VM gets an overlay of its own."""
    guest: GuestWord | None = None
    """What a VM boots: "payload" is a small Linux with density's own program (default), "null" a boot sector that only
    says ready, "disk" an image of yours. "none" is for containers of libvirt's, which boot nothing."""
    command: tuple[Text, ...] | None = None
    """Containers of other images: replaces the image's command."""
    environment: dict[Variable, Text] | None = None
    """Containers of other images: variables for the process."""
    memory: Bytes | None = None
    """What an instance is given; a size. VMs: RAM (128MiB for the payload guest, 16MiB for the null guest, 512MiB for a
    disk by default). Containers: a limit (0, no limit of its own, by default)."""
    touch: Bytes | None = None
    """Memory that the payload writes and keeps; a size."""
    cpus: Cpus | None = None
    """What an instance is given. VMs: whole CPUs (1 by default). Containers: a limit (0, no limit of its own, by
    default)."""
    burn: Share | None = None
    """Share of one CPU that the payload keeps busy; a share."""
    ready: Ready | None = None
    """How an instance is known to be ready. "payload": it says so (default where density's own program runs).
    "running": the engine says it runs (default for other images). "healthy": the image's HEALTHCHECK passes.
    "log:REGEX" and "console:REGEX": a line that it prints. "tcp:PORT", "http:PORT/PATH": it answers. "guest-agent": the
    agent in a VM answers. A container whose HEALTHCHECK fails is not ready, and fails after it was ready."""
    ready_timeout: Period = 60.0
    """An instance that is not ready by then has failed; a duration above 0."""
    network: Word | None = None
    """Containers: "none" (default), "host", "bridge" or a network's name. VMs: "none" (default), "user" or a network's
    name."""
    accelerator: AcceleratorWord | None = None
    """VMs: "kvm" (the CPU's virtualisation), "tcg" (emulation), or "auto" (default), which boots one to find out."""
    disk_io: DiskIoWord | None = None
    """VMs with guest = "disk": how QEMU reads and writes the overlay. "threads" (default), "native" (Linux aio past the
    page cache, which asks the kernel for 1,024 requests a disk), or "io_uring"."""


class CostTable(Table):
    """What one instance of a workload costs on the simulated host."""

    memory: Bytes = 0
    """Memory of one instance; a size."""
    tasks: Ratio = 0.0
    """Processes and threads of one instance."""
    files: Ratio = 0.0
    """Open files of one instance."""
    cpus: Ratio = 0.0
    """CPUs that one instance keeps busy."""


class SimulatedTable(Table):
    """The truth of a simulated host: its limits, what an instance costs, how launches behave."""

    cpus: Positive = _SIMULATED.cpus
    """CPUs of the host."""
    memory: Bytes = _SIMULATED.memory_bytes
    """Memory of the host; a size."""
    tasks: Positive = _SIMULATED.tasks
    """Processes and threads that the host can have."""
    files: Positive = _SIMULATED.files
    """Files that can be open on the host."""
    used_memory: Bytes = _SIMULATED.used_memory_bytes
    """Memory in use before the first instance; a size."""
    used_tasks: Count = _SIMULATED.used_tasks
    """Processes and threads before the first instance."""
    used_files: Count = _SIMULATED.used_files
    """Open files before the first instance."""
    launch: Period = _SIMULATED.launch_seconds
    """Mean time until the first instance is ready; a duration above 0."""
    launch_growth: Ratio = _SIMULATED.launch_growth
    """How much longer a launch takes per 1,000 instances, as a part of `launch`."""
    failures: Share = _SIMULATED.failure_share
    """Launches that fail though nothing ran out; a share."""
    noise: Ratio = _SIMULATED.noise
    """Standard deviation of a reading of memory, as a share of the host's memory."""
    leak: Bytes = int(_SIMULATED.leak_bytes_per_second)
    """Memory that goes away by itself every second; a size."""
    other_memory: Bytes = _SIMULATED.other_memory_bytes
    """Memory that something else on the host takes for a while; a size."""
    other_tasks: Count = _SIMULATED.other_tasks
    """Processes and threads that something else starts."""
    other_files: Count = _SIMULATED.other_files
    """Files that something else opens."""
    other_from: Seconds = _SIMULATED.other_from_seconds
    """When something else begins, counted from the start of the run; a duration."""
    other_until: Seconds = _SIMULATED.other_until_seconds
    """When it ends; a duration, 0 for never."""
    seed: Count = _SIMULATED.seed
    """Seed of everything random."""
    costs: dict[Name, CostTable] = Field(default_factory=dict)
    """What one instance costs, by workload."""


class Document(Table):
    """A density profile: what to run, how it grows, and where it has to stop."""

    name: Name | None = None
    """The profile's name: a lower-case letter, then at most 30 of a-z, 0-9 and -."""
    description: Text = ""
    """What it is for, in one sentence."""
    lease: Seconds = LEASE_SECONDS
    """How long instances may outlive a density that was killed; then they end, and what they leave is removed. A
    duration, 5s to 1h."""
    ramp: RampTable = RampTable()
    slice: SliceTable = SliceTable()
    reserve: ReserveTable = ReserveTable()
    objectives: ObjectivesTable = ObjectivesTable()
    require: RequireTable = RequireTable()
    engines: EnginesTable = EnginesTable()
    workloads: dict[Name, WorkloadTable] = Field(default_factory=dict)
    """The kinds of instances, by name; at least one. A name is a lower-case letter, then at most 30 of a-z, 0-9
    and -."""
    simulated: SimulatedTable = SimulatedTable()
