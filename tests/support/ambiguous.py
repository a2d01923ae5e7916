"""Random simulated hosts whose applications fail ambiguously, and whose truth is known: are odds what they claim to be?

Several ceilings that are said alike lie close together, readings are noisy, launches in flight take more for a moment,
what fails says what ran out, or only the kernel's error, or nothing at all; and on some hosts no ceiling is the reason:
programs end by chance, at a limit of their own, or the engine is gone.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from density.ceilings.catalog import BY_ID
from density.ceilings.errors import classify
from density.ceilings.judge import judge
from density.ceilings.verdict import NOBODY
from density.engines.simulated import HostModel
from density.events import Event, HostSampled, InstanceChanged, RunStarted, Stopped, WaveSettled, WaveStarted
from density.model import Failure, Phase, Workload, instance_name
from density.profile.spec import Profile, Ramp, SimulatedHost
from density.ramp.decide import PAST, Stop, bounds_of, decide, look_ahead
from density.state import RunState

WAVES = 60
CALIBRATED = 3
"""Waves of four until then."""
SETTLE_SECONDS = 4.0
Cause = Literal["ceiling", "chance", "own", "engine"]
EXITED = "ended with exit code 1"


@dataclass(frozen=True)
class Kind:
    """A ceiling that may bind: the names of its values, and what is said where it does.

    Attributes:
        named: words that name it; errno: words that only name the kernel's error, said of others too.
        engine: it is the engine that meets it and fails; else the application does.
        counter: that moves where it refuses, on kernels that have it.
        surge: launches in flight may take more of it for a moment.
        quiet: share of failures at it about which nothing is said at all.
    """

    ceiling: str
    subject: str
    used: str
    limit: str
    named: str
    errno: str
    engine: bool = False
    counter: str = ""
    surge: bool = False
    quiet: float = 0.25


EMFILE, ENOSPC, EAGAIN = "Too many open files", "No space left on device", "Resource temporarily unavailable"
ENOMEM, EDQUOT = "Cannot allocate memory", "Disk quota exceeded"
KINDS: tuple[Kind, ...] = (
    Kind("inotify.instances", "uid0", "inotify.uid0.instances_count", "inotify.instances_limit",
         f"inotify_init1: {EMFILE}", EMFILE),
    Kind("inotify.watches", "uid0", "inotify.uid0.watches_count", "inotify.watches_limit",
         f"inotify_add_watch: {ENOSPC}", ENOSPC),
    Kind("files.process", "dockerd", "daemon.dockerd.fds", "daemon.dockerd.fds_limit",
         f"accept4: {EMFILE}", f"start: {EMFILE}", engine=True, surge=True, quiet=0),
    Kind("files.process", "containerd", "daemon.containerd.fds", "daemon.containerd.fds_limit",
         f"open /proc/self/fd: {EMFILE}", f"shim: {EMFILE}", engine=True, surge=True, quiet=0),
    Kind("tasks.cgroup", "", "slice.tasks", "slice.tasks_limit",
         "pthread_create failed: EAGAIN", f"fork: {EAGAIN}", counter="slice.tasks_denied", surge=True),
    Kind("tasks.cgroup", "containerd", "daemon.containerd.tasks", "daemon.containerd.tasks_limit",
         "failed to create new OS thread; errno=11", f"fork/exec runc: {EAGAIN}", engine=True, surge=True,
         quiet=0),
    Kind("memory.cgroup", "", "slice.memory_bytes", "slice.memory_limit_bytes",
         f"malloc: {ENOMEM}", ENOMEM, counter="slice.oom_kills", quiet=0.5),
    Kind("maps.process", "dockerd", "daemon.dockerd.maps_count", "maps.limit",
         f"mmap: {ENOMEM}", ENOMEM, engine=True, quiet=0),
    Kind("keys.user", "uid0", "keys.uid0.count", "keys.uid0.limit",
         f"join session keyring: {EDQUOT}", f"join session keyring: {EDQUOT}", engine=True, quiet=0),
    Kind("mounts.namespace", "host", "mounts.host.count", "mounts.limit",
         f"mount tmpfs:/dev: {ENOSPC}", f"mount: {ENOSPC}", engine=True, quiet=0),
    Kind("namespaces.user", "net", "namespaces.net.count", "namespaces.net.limit",
         "can't get final child's PID from pipe: EOF", f"unshare: {ENOSPC}", engine=True, quiet=0),
    Kind("cgroups.memcg", "", "cgroups.memory_count", "",
         f"mkdir /sys/fs/cgroup/memory/x: {ENOSPC}", f"create: {ENOSPC}", engine=True, quiet=0),
    Kind("aio.requests", "", "aio.requests_count", "aio.requests_limit",
         f"io_setup: {EAGAIN}", EAGAIN),
    Kind("ptys", "", "ptys.count", "ptys.limit", f"open /dev/ptmx: {ENOSPC}", ENOSPC),
    Kind("libvirt.processes", "", "qemu.tasks_count", "qemu.tasks_limit",
         f"cannot fork child process: {EAGAIN}", EAGAIN, engine=True, surge=True, quiet=0),
    Kind("network.ports", "", "network.ports.used_count", "network.ports.limit",
         "connect: Cannot assign requested address", "Cannot assign requested address"),
)  # fmt: skip
FIXED = {"cgroups.memcg": 65535.0}
"""Limits that are no value of the host."""


@dataclass
class Resource:
    """One ceiling on one host: what an instance takes, what there is, and how else its use moves.

    Attributes:
        surge: what a launch in flight takes for a moment, as a share of its cost.
        wander: how far what else the host does moves it, in instances.
    """

    kind: Kind
    cost: float
    base: float
    limit: float
    surge: float
    wander: float
    counts: bool
    now: float = 0.0
    moved: int = 0


@dataclass(frozen=True)
class Truth:
    """What a random host is made to be.

    Attributes:
        cause: why launches fail; key: the ceiling, where one is the cause.
    """

    profile: Profile
    cause: Cause
    key: tuple[str, str]
    resources: tuple[Resource, ...]
    fails_from: int
    share: float
    says: tuple[str, ...]
    engine: Failure
    step: int


@dataclass(frozen=True)
class Claim:
    """What a verdict claimed, and whether it was right; an error, such as of an engine, claims no odds."""

    seed: int
    cause: Cause
    named: tuple[str, str]
    confidence: float | None
    right: bool


class AmbiguousHost(HostModel):
    """The host model with more ceilings, and applications that say little."""

    def __init__(self, truth: Truth, profile: Profile, clock: Callable[[], float]) -> None:
        super().__init__(profile.simulated, slice_=profile.slice, workloads=profile.workloads, clock=clock)
        self._truth = truth

    def take(self, workload: str) -> Failure | None:
        """As the truth has it: the first ceiling without room, or the application's own reasons."""
        truth, chance = self._truth, self.random
        for resource in truth.resources:
            # Those in flight hold more than they keep; this one is among them.
            surge = resource.surge * resource.cost * max(0, self.in_flight - 1)
            if self._use(resource) + surge + resource.cost > resource.limit:
                return self._said_of(resource)
        if truth.cause in {"chance", "own"} and self.alive >= truth.fails_from and chance.random() < truth.share:
            return Failure("exited", EXITED, truth.says, exit_code=1)
        return super().take(workload)

    def _use(self, resource: Resource) -> float:
        return resource.base + resource.cost * self.alive + resource.now

    def _said_of(self, resource: Resource) -> Failure:
        kind, chance = resource.kind, self.random
        if resource.counts:
            resource.moved += 1
        if kind.ceiling == "memory.cgroup" and chance.random() < 0.5:
            return Failure("oom_killed", "ended with exit code 137, out of memory", (), 137, "SIGKILL")
        if kind.ceiling == "memory.cgroup" and chance.random() < 0.2:
            return Failure("timeout", "not ready within 60 s")
        if chance.random() < kind.quiet:
            return Failure("exited", EXITED, (), exit_code=1)
        words = kind.named if chance.random() < 0.5 else kind.errno
        if kind.engine:
            return Failure(classify(words), words)
        return Failure("exited", EXITED, ("starting", words), exit_code=1)

    def values(self) -> Mapping[str, float]:
        """What sensors would read, with what else the host does."""
        values = dict(super().values())
        for resource in self._truth.resources:
            kind = resource.kind
            resource.now = 0.7 * resource.now + self.random.gauss(0, resource.wander * resource.cost)
            values[kind.used] = max(0.0, self._use(resource))
            if kind.limit:
                values[kind.limit] = resource.limit
            if kind.counter and resource.counts:
                values[kind.counter] = float(resource.moved)
        return values


def ambiguous_host(seed: int) -> Truth:
    """A host; the seed decides everything."""
    chance = random.Random(seed)
    cause: Cause = chance.choices(("ceiling", "chance", "own", "engine"), (70, 10, 15, 5))[0]
    fits = chance.randint(10, 120)
    kinds = chance.sample(KINDS, chance.randint(4, 9))
    if cause == "ceiling":
        # Those that are said alike are the hard ones to tell apart.
        kinds = sorted(kinds, key=lambda kind: classify(kind.errno) != classify(kinds[0].errno))
    nearest = 1.0 if cause == "ceiling" else chance.uniform(1.0, 1.6)
    resources = []
    for place, kind in enumerate(kinds):
        reach = fits * nearest * (1.0 if place == 0 else math.exp(chance.expovariate(1 / 0.9)))
        resources.append(_resource(kind, reach, chance))
    workloads = (Workload(name="web", engine="simulated", ready_timeout_seconds=1e9),)
    profile = Profile(
        name=f"ambiguous-{seed}",
        workloads=workloads,
        ramp=Ramp(until="failure", max_instances=400),
        simulated=SimulatedHost(cpus=8, memory_bytes=2**40, tasks=10**6, files=10**8, seed=seed),
    )  # fmt: skip
    words = (EMFILE, ENOSPC, EAGAIN, ENOMEM, "FATAL: sorry, too many clients already", "panic: nil pointer")
    says = () if chance.random() < 0.5 else (chance.choice(words),)
    engine = chance.choice(
        (
            Failure("refused", "connection refused"),
            Failure("no_image", "No such image: web"),
            Failure("timeout", "not ready within 60 s"),
        )
    )
    key = (kinds[0].ceiling, kinds[0].subject) if cause == "ceiling" else NOBODY
    share = chance.uniform(0.15, 0.6) if cause == "chance" else 1.0
    return Truth(profile, cause, key, tuple(resources), fits, share, says, engine, chance.randint(4, 16))


def _resource(kind: Kind, reach: float, chance: random.Random) -> Resource:
    """One of which so many instances fit."""
    fixed = FIXED.get(kind.ceiling)
    cost = float(chance.choice((1, 1, 2, 5))) * (2.0**22 if BY_ID[kind.ceiling].unit == "bytes" else 1.0)
    base = chance.uniform(0, 30) * cost
    limit = fixed or math.floor(base + reach * cost)
    if fixed:
        base = fixed - reach * cost
    surge = chance.choice((0, 0.5, 1.5)) if kind.surge else 0.0
    return Resource(kind, cost, base, limit, surge, chance.choice((0, 0, 0.3, 1.0)), chance.random() < 0.5)


class Bench:
    """A ramp into failure on an ambiguous host, without a controller: waves, samples and settled points, folded."""

    def __init__(self, truth: Truth) -> None:
        self.state = RunState()
        self._truth = truth
        self._now = 0.0
        self._sampled = -1.0
        self._number = 0
        self._at_once = 4
        self._host = AmbiguousHost(truth, truth.profile, lambda: self._now)
        profile = truth.profile
        self._emit(RunStarted(0.0, "r", 0.0, "0", profile.name, "failure", profile.workloads, 400))
        self._rest(0)

    def run(self) -> Stop | None:
        """Waves until `decide` ends it by failures; None where it never does."""
        for wave in range(1, WAVES):
            self._wave(wave, self._size(wave))
            self._rest(wave)
            if not self.state.wave_seen().ended:
                continue
            stop = decide(self._truth.profile, self.state, wave)
            if isinstance(stop, Stop) and stop.surge and self._at_once > 1:
                self._at_once //= 2
            elif isinstance(stop, Stop):
                self._emit(Stopped(self._now, stop.outcome, stop.reason, stop.ceiling, stop.subject, stop.by_failures))
                return stop
        return None

    def _size(self, wave: int) -> int:
        """A ramp aims a few past the nearest ceiling that is forecast."""
        nearest = min((each.limit - each.base) / each.cost for each in self._truth.resources)
        return max(1, min(4 if wave < CALIBRATED else self._truth.step, math.floor(nearest) - self._host.alive + PAST))

    def _wave(self, wave: int, size: int) -> None:
        self._emit(WaveStarted(self._now, wave, {"web": size}, self._host.alive + size))
        for place in range(size):
            self._host.in_flight = min(self._at_once, size - place)
            self._launch()
        self._host.in_flight = 0

    def _launch(self) -> None:
        self._number += 1
        name = instance_name("web", self._number)
        self._change(name, Phase.REQUESTED)
        gone = self._truth.cause == "engine" and self._host.alive >= self._truth.fails_from
        failure = self._truth.engine if gone else None
        self._pass(60.0 if failure and failure.kind == "timeout" else 0.1)
        if failure is None:
            self._change(name, Phase.CREATED)
            failure = self._host.take("web")
            if failure is None or failure.kind in {"exited", "timeout"}:
                self._change(name, Phase.STARTED)
            self._pass(60.0 if failure and failure.kind == "timeout" else 0.2)
        self._change(name, Phase.FAILED if failure else Phase.READY, failure)

    def _rest(self, wave: int) -> None:
        since = self._now
        self._pass(SETTLE_SECONDS)
        values = dict(self.state.host)
        failed = dict(self.state.failed_in_wave)
        self._emit(WaveSettled(self._now, since, wave, {"web": self._host.alive}, values, failed))

    def _pass(self, seconds: float) -> None:
        """Time goes by; the host is sampled every second."""
        end = self._now + seconds
        while self._sampled + 1 <= end:
            self._sampled = self._now = self._sampled + 1
            self._emit(HostSampled(self._now, self._host.values(), 0.001))
        self._now = end

    def _change(self, name: str, phase: Phase, failure: Failure | None = None) -> None:
        self._emit(InstanceChanged(self._now, name, "web", phase, failure))

    def _emit(self, event: Event) -> None:
        self.state.apply(event)


def claim_of(seed: int) -> Claim | None:
    """Run a ramp into failure on such a host, and hold its verdict against the truth; None where none was given."""
    truth = ambiguous_host(seed)
    bench, bounds = Bench(truth), bounds_of(truth.profile)
    stop = bench.run()
    if stop is None:
        return None
    ahead = look_ahead(truth.profile, bench.state)
    verdict = judge(bench.state, bounds, ahead.costs(), ahead.typical)
    if verdict is None:
        return Claim(seed, truth.cause, ("error", ""), None, truth.cause == "engine")
    named = (verdict.ceiling, verdict.subject)
    return Claim(seed, truth.cause, named, verdict.confidence, named == truth.key)
