"""What each kind of workload uses and needs; the one table that defaults, checks and writing back go by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from density.model import GuestName, Readiness, Workload
from density.profile.document import WorkloadTable

_MIB = 2**20
LXC_BYTES = 8 * _MIB
"""libvirt's own process of a container is within its limit."""
_ALWAYS = frozenset({"engine", "share", "ready", "ready_timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of workload.

    Attributes:
        what: one of it, in a sentence.
        group: many of it, and of its kin.
        variant: what sets it apart in its group; empty where it is alone.
        keys: the keys of its table that mean something.
        ready: the ways in which it can be known to be ready; the first is the default.
        must: keys that have no default, with what is allowed.
        guest: for VMs.
        memory_bytes: the default.
        least_memory_bytes: less cannot start; 0 for no limit is another matter.
        overhead_bytes: what it needs in its memory beside what it touches.
        whole_cpus: a VM has no half CPU.
        cpus: the default.
    """

    what: str
    group: str
    variant: str = ""
    keys: frozenset[str]
    ready: tuple[str, ...]
    must: Mapping[str, str] = field(default_factory=dict)
    guest: GuestName = "payload"
    memory_bytes: int = 0
    least_memory_bytes: int = 0
    overhead_bytes: int = 0
    whole_cpus: bool = False
    cpus: float = 0.0

    @property
    def answers_pings(self) -> bool:
        """Whether density's payload is in it, which alone answers pings."""
        return self.keys >= _LOAD


_CONTAINER = frozenset({"image", "memory", "cpus", "network"})
_VM = frozenset({"guest", "memory", "cpus", "network", "accelerator"})
_LOAD = frozenset({"touch", "burn"})

PAYLOAD_CONTAINER = Kind(
    what='a container with image = "payload"',
    group="containers",
    variant='image = "payload"',
    keys=_ALWAYS | _CONTAINER | _LOAD,
    ready=("payload", "running"),
    least_memory_bytes=6 * _MIB,  # Docker refuses less
    overhead_bytes=4 * _MIB,
)
OTHER_CONTAINER = Kind(
    what="a container of another image",
    group="containers",
    variant="other images",
    keys=_ALWAYS | _CONTAINER | {"command", "environment"},
    ready=("running", "healthy", "log", "tcp", "http"),
    least_memory_bytes=6 * _MIB,
)
PAYLOAD_VM = Kind(
    what='a VM with guest = "payload"',
    group="VMs",
    variant='guest = "payload"',
    keys=_ALWAYS | _VM | _LOAD,
    ready=("payload", "console", "running"),
    memory_bytes=128 * _MIB,
    least_memory_bytes=96 * _MIB,  # with 64 MiB the kernel dies before it is ready
    overhead_bytes=64 * _MIB,
    whole_cpus=True,
    cpus=1.0,
)
NULL_VM = Kind(
    what='a VM with guest = "null"',
    group="VMs",
    variant='guest = "null"',
    keys=_ALWAYS | _VM,
    ready=("payload", "console", "running"),
    guest="null",
    memory_bytes=16 * _MIB,
    least_memory_bytes=2 * _MIB,
    whole_cpus=True,
    cpus=1.0,
)
DISK_VM = Kind(
    what='a VM with guest = "disk"',
    group="VMs",
    variant='guest = "disk"',
    keys=_ALWAYS | _VM | {"image", "disk_io"},
    ready=("console", "guest-agent", "tcp", "running"),
    must={
        "image": "the path of a disk image",
        "ready": '"console:REGEX", "guest-agent", "tcp:PORT" or "running"',
    },
    guest="disk",
    memory_bytes=512 * _MIB,
    least_memory_bytes=16 * _MIB,
    whole_cpus=True,
    cpus=1.0,
)
LXC_CONTAINER = Kind(
    what='a container with guest = "none"',
    group="libvirt's containers",
    keys=_ALWAYS | _LOAD | {"guest", "memory", "cpus", "network"},
    ready=("payload", "running"),
    guest="none",
    least_memory_bytes=LXC_BYTES,
    overhead_bytes=LXC_BYTES,
)
PROCESS = Kind(what="a plain process", group="plain processes", keys=_ALWAYS | _LOAD, ready=("payload", "running"))
SIMULATED = Kind(what="a simulated instance", group="simulated instances", keys=_ALWAYS | _LOAD, ready=("payload",))
KINDS = (PAYLOAD_CONTAINER, OTHER_CONTAINER, PAYLOAD_VM, NULL_VM, DISK_VM, LXC_CONTAINER, PROCESS, SIMULATED)


def users(key: str) -> list[str]:
    """Who uses this key of a workload, each group once where all of it does."""
    names = []
    for group in dict.fromkeys(kind.group for kind in KINDS):
        kin = [kind for kind in KINDS if kind.group == group]
        using = [kind for kind in kin if key in kind.keys]
        names += [group] if using == kin else [f"{group} with {kind.variant}" for kind in using]
    return names


_BY_GUEST = {"payload": PAYLOAD_VM, "null": NULL_VM, "disk": DISK_VM, "none": LXC_CONTAINER}


def kind_of(workload: WorkloadTable | Workload) -> Kind | None:
    """The kind that engine, image and guest make; None where the engine is not known."""
    match workload.engine:
        case "docker":
            return PAYLOAD_CONTAINER if workload.image in (None, "payload") else OTHER_CONTAINER
        case "libvirt":
            return _BY_GUEST[workload.guest or "payload"]
        case "native":
            return PROCESS
        case "simulated":
            return SIMULATED
        case _:
            return None


def default_ready(kind: Kind) -> Readiness:
    """How instances of this kind are known to be ready where the profile does not say."""
    return Readiness("running") if kind is OTHER_CONTAINER else Readiness("payload")
