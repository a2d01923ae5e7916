"""The nouns of density, as immutable values: workloads, phases, failures, engines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

EngineName = Literal["docker", "libvirt", "native", "simulated"]
GuestName = Literal["payload", "null", "disk", "none"]
DiskIo = Literal["threads", "native", "io_uring"]
AcceleratorName = Literal["auto", "kvm", "tcg"]
LABELS = "internal.density"
"""Prefix of Docker labels, in reverse DNS as Docker asks for; nobody owns a name in the private domain `internal`."""
LABEL = f"{LABELS}.run"
"""Label of everything that density makes in a Docker daemon; its value is the run id."""
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
"""A whole run id: `20261124-081500-3fa9`, UTC date, time, and four random digits."""

_PREFIX = "density-"
_NAME = re.compile(rf"{_PREFIX}({RUN_ID.pattern})-")

INTERNAL = "internal"
"""The kind of failure of a launch that a fault of density's own ended: it says nothing of the host."""


LEASE = "lease"
"""The kind of failure of an instance that ended because density did not renew its lease: likewise."""
OWN_FAULTS = frozenset({INTERNAL, LEASE})
"""Kinds of failures that density itself made."""


class Phase(StrEnum):
    """Where an instance is in its life; off the straight path are FAILED (never ready) and LOST (was ready)."""

    REQUESTED = "requested"
    CREATED = "created"
    STARTED = "started"
    READY = "ready"
    STOPPING = "stopping"
    REMOVED = "removed"
    FAILED = "failed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """A limit of one instance itself, which it had reached when it failed or was lost.

    Attributes:
        ceiling: id of the catalogue: `memory.instance`, `tasks.instance`, `files.instance`, `cpu.instance`.
        used: the most that it used; None: not known.
        limit: what it was allowed, in the ceiling's unit.
        hits: how often the kernel refused, killed or throttled at this limit; 0 where no counter could be read.
    """

    ceiling: str
    used: float | None
    limit: float
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an instance failed or was lost.

    Attributes:
        kind: the class of the error, a word of `density.ceilings.errors` (`no_memory`, `timeout`, `exited`, ...).
        message: the engine's own words, one line.
        evidence: the last lines that the instance itself printed (console or log), oldest first.
        exit_code: of the instance's first process; None where it did not exit, or nobody knows.
        signal: that ended it (`SIGKILL`), else empty.
        own_limits: the instance's own limits that it had reached, the likeliest cause first.
    """

    kind: str
    message: str
    evidence: tuple[str, ...] = ()
    exit_code: int | None = None
    signal: str = ""
    own_limits: tuple[OwnLimit, ...] = ()

    @property
    def ending(self) -> str:
        """How a ready instance ended: `exited (code 1)`, `ended by SIGKILL`."""
        if self.signal:
            return f"ended by {self.signal}"
        if self.exit_code is not None:
            return f"exited (code {self.exit_code})"
        plain = {"exited": "exited", "oom_killed": "ended by the OOM killer", LEASE: "ended with their lease"}
        return plain.get(self.kind, f"ended ({self.kind})")


@dataclass(frozen=True, slots=True)
class Readiness:
    """How an instance is known to be ready.

    Attributes:
        by: `payload` (it says so over its channel), `running`, `healthy` (Docker HEALTHCHECK), `log`, `tcp`, `http`,
            `console`, `guest-agent`.
        argument: the REGEX of `log` and `console`, the PORT of `tcp`, PORT/PATH of `http`; else empty.
    """

    by: Literal["payload", "running", "healthy", "log", "tcp", "http", "console", "guest-agent"]
    argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A named kind of instance.

    Attributes:
        share: this workload's part of every wave, relative to the others' shares; above 0.
        image: docker: an image reference, or `payload`; libvirt with guest `disk`: the path of a disk image.
        guest: what a VM boots (libvirt only); `none`: it is a container of libvirt's, which boots nothing.
        command: replaces the image's command (docker, other images only).
        environment: variables for the instance's process (docker, other images only).
        memory_bytes: what an instance is given: a VM's RAM, a container's limit (0: no limit of its own).
        touch_bytes: private memory that the payload writes and keeps.
        cpus: what an instance is given: a VM's vCPUs (whole), a container's quota (0: no limit of its own).
        burn: share of one CPU that the payload keeps busy, 0 to 1.
        ready_timeout_seconds: an instance not ready by then has failed.
        network: docker: `none`, `host`, `bridge` or a network's name; libvirt: `none`, `user` or a network's name.
        accelerator: `auto` finds out by booting a canary.
        disk_io: how QEMU reads and writes the overlay (guest `disk` only).
        stated_costs: simulated: what the profile states that an instance takes (`memory_bytes`, `tasks`, `files`).
    """

    name: str
    engine: EngineName
    share: float = 1.0
    image: str = "payload"
    guest: GuestName = "payload"
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    touch_bytes: int = 0
    cpus: float = 0.0
    burn: float = 0.0
    ready: Readiness = Readiness("payload")
    ready_timeout_seconds: float = 60.0
    network: str = "none"
    accelerator: AcceleratorName = "auto"
    disk_io: DiskIo = "threads"
    stated_costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def answers_pings(self) -> bool:
        """Whether density's payload is in it, which alone answers pings."""
        match self.engine:
            case "docker":
                return self.image == "payload"
            case "libvirt":
                return self.guest in {"payload", "none"}
            case "native" | "simulated":
                return True


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine says of itself.

    Attributes:
        limits: the engine's own limits by name, such as `addresses` of a network.
        daemons: the engine's processes that sensors should watch: name -> pid.
        running: ids of the run's instances that the engine itself lists as running now.
        facts: what it says in words, such as `cgroup_driver` and `root_dir`; only what it said.
    """

    name: EngineName
    version: str
    endpoint: str
    limits: Mapping[str, float] = field(default_factory=dict)
    daemons: Mapping[str, int] = field(default_factory=dict)
    running: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What `Engine.prepare` found out about a workload before any clock started.

    Attributes:
        accelerator: `kvm` or `tcg` for VMs, `lxc` for containers of libvirt's, else empty.
        warnings: sentences for the person, such as why a VM is emulated.
        networks: bridge devices that this workload's instances plug into: device -> usable addresses (0: no limit).
        pools: networks without a bridge that they get their addresses from: name -> addresses that were free.
    """

    accelerator: str = ""
    warnings: tuple[str, ...] = ()
    networks: Mapping[str, int] = field(default_factory=dict)
    pools: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Something in an engine that carries density's label with a whole run id, whether that run is alive or dead.

    Attributes:
        name: of a container, a domain or a process; else with what it is, such as `image density-saved:RUN`.
        running: it takes memory or CPU time now.
    """

    name: str
    run_id: str
    running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """What a clean-up removed, and what it could not: names of containers, domains, processes.

    Attributes:
        files: what was removed in the file system beside them, such as logs.
        problem: why something is left and what to do, where the engine itself is the reason.
    """

    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the kernel accounts an instance: the run's slice, in each engine's own words.

    Attributes:
        docker_parents: a Docker daemon's cgroup driver (`cgroupfs`, `systemd`) -> value for its `--cgroup-parent`; a
            daemon with another driver cannot put containers into the slice.
        libvirt_partition: value for `<resource><partition>`.
        procs_files: `cgroup.procs` files (one a v1 hierarchy, one on v2) to write a pid into for a process of ours, and
            for a VM's process where libvirt does not place it itself.
    """

    docker_parents: Mapping[str, str]
    libvirt_partition: str
    procs_files: tuple[str, ...]


def object_name(run_id: str, instance_id: str) -> str:
    """Name of an instance's container or domain: `density-RUN-WORKLOAD-NUMBER`."""
    return f"{_PREFIX}{run_id}-{instance_id}"


def run_of(name: str) -> str:
    """The run in an object's name; empty where the name has no whole run id, so that it is none of ours."""
    found = _NAME.match(name)
    return found[1] if found else ""


def instance_name(workload: str, number: int) -> str:
    """Id of an instance inside its run: `web-00042`."""
    return f"{workload}-{number:05d}"
