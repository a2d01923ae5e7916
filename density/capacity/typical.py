"""What an instance costs, for as long as nothing has been measured: typical costs, stated ones, and lower bounds.

Per container: moby#38814, containerd#11652 (inotify, with cgroup v2 only) and ramps on a 2-core host with Docker 20.10
(40 on no network, 30 on a bridge, a full one); per VM: QEMU 7.2 under libvirt 9.0 on the same host, beside what the
guest is given. What is not here costs nothing, such as connections of an idle instance.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from density.model import Workload

MIB = 2**20
VM_OVERHEAD_BYTES = 64 * MIB
SHIM_COMMIT_BYTES = 130 * MIB
"""A container's shim is a Go program: it asks for far more memory than it ever touches."""
STATE_BYTES, STATE_INODES = 60 * 1024, 17
"""Of the daemons' state of one container: its bundle, its init's and its runtime's files, pipes and namespaces."""

_ROOT = "uid0"

Basis = Literal["typical", "stated", "at least"]
"""What a cost rests on: instances like these elsewhere; the profile; or, of a program that nobody has measured yet,
what an empty container takes."""


TYPICAL_SPREAD = 0.5
"""How far off a typical cost may be: its interval is value x (1 ± this)."""


class Expected(NamedTuple):
    """The cost of one instance, in the ceiling's unit, with the range that it is in, and what it rests on."""

    cost: float
    low: float
    high: float
    basis: Basis


_ONLY_V2 = frozenset({"inotify.instances", "inotify.watches", "namespaces.user cgroup"})
"""A shim watches its cgroup's events by inotify, and a container has a cgroup namespace, on cgroup v2 alone."""


def typical_cost(workload: Workload, ceiling: str, subject: str = "", *, cgroup_version: float = 2) -> float:
    """Cost of one instance, in the ceiling's unit; 0 for subjects that it costs nothing, such as another user.

    Args:
        cgroup_version: the host's, as its fingerprint has it.
    """
    if cgroup_version == 1 and {ceiling, f"{ceiling} {subject}"} & _ONLY_V2:
        return 0.0
    costs = typical_costs(workload)
    return costs.get(f"{ceiling} {subject}".rstrip(), costs.get(f"{ceiling} *", 0.0))


def expected_cost(workload: Workload, ceiling: str, subject: str = "", *, cgroup_version: float = 2) -> Expected:
    """The best that is known of the cost before it is measured; arguments as of `typical_cost`.

    A program of the user's is not known, but the kernel lets it have no more memory than its profile declares.
    """
    typical = typical_cost(workload, ceiling, subject, cgroup_version=cgroup_version)
    if _STATED.get(ceiling) in workload.stated_costs:
        return Expected(typical, typical, typical, "stated")
    if workload.engine != "docker" or workload.image == "payload" or ceiling not in _OF_THE_PROGRAM or subject:
        return Expected(typical, typical * (1 - TYPICAL_SPREAD), typical * (1 + TYPICAL_SPREAD), "typical")
    if ceiling.startswith("memory.") and workload.memory_bytes:
        declared = typical + workload.memory_bytes
        return Expected(declared, typical, declared, "stated")
    return Expected(typical, typical, math.inf, "at least")


def typical_launch_seconds(workload: Workload) -> float:
    """Seconds that one instance more takes to become ready, launched together with others, on a host with two cores.

    Measured with Docker 20.10, and libvirt 9.0 with QEMU 7.2 emulating (TCG): the slower way to run a VM.
    """
    match workload.engine:
        case "docker":
            return 0.05 if workload.network == "host" else 0.12
        case "libvirt":
            return 0.1 if workload.guest == "none" else 1.6
        case "native":
            return 0.005
        case "simulated":
            return 0.05


def has_known_memory(workload: Workload) -> bool:
    """Whether something bounds an instance's memory before it is measured."""
    return expected_cost(workload, "memory.available").basis != "at least"


_OF_THE_PROGRAM = frozenset(
    {
        "memory.available",
        "memory.cgroup",
        "memory.commit",
        "tasks.pid_max",
        "tasks.threads_max",
        "tasks.cgroup",
        "files.file_max",
    }
)
"""Ceilings whose use is mostly the program's in the container, not the engine's."""
_STATED: Mapping[str, str] = {
    "memory.available": "memory_bytes",
    "memory.cgroup": "memory_bytes",
    "tasks.pid_max": "tasks",
    "tasks.threads_max": "tasks",
    "tasks.cgroup": "tasks",
    "files.file_max": "files",
}
"""Ceiling -> the resource of a simulated host that it is of."""


def typical_costs(workload: Workload) -> Mapping[str, float]:
    """Ceiling id, with the subject behind a space where there are several (`*`: any) -> cost of one instance."""
    match workload.engine:
        case "docker":
            return _container(workload)
        case "libvirt" if workload.guest == "none":
            return _lxc(workload)
        case "libvirt":
            return _machine(workload)
        case "native":
            return _process(workload)
        case "simulated":
            stated = {name: workload.stated_costs[of] for name, of in _STATED.items() if of in workload.stated_costs}
            return _process(workload) | stated


def _process(workload: Workload) -> dict[str, float]:
    return {
        "memory.available": MIB // 2 + workload.touch_bytes,
        "memory.cgroup": MIB // 2 + workload.touch_bytes,
        "memory.commit": MIB // 2 + workload.touch_bytes,
        "tasks.pid_max": 1,
        "tasks.threads_max": 1,
        "tasks.cgroup": 1,
        "files.file_max": 4,
        "files.process tester": 1,
    }


def _container(workload: Workload) -> dict[str, float]:
    bridged = workload.network not in {"none", "host"}
    kinds = ("mnt", "pid", "ipc", "uts", "cgroup", *(() if workload.network == "host" else ("net",)))
    return {
        "memory.available": 5 * MIB + workload.touch_bytes,
        "memory.cgroup": 1 * MIB + workload.touch_bytes,
        "memory.commit": SHIM_COMMIT_BYTES + workload.touch_bytes,
        "tasks.pid_max": 13,
        "tasks.threads_max": 13,
        "tasks.cgroup": 1,
        # containerd starts the shim, so it lives in its unit; where that is dockerd's too, both read the same cgroup.
        "tasks.cgroup containerd": 12,
        "files.file_max": 44 if bridged else 39,
        "files.process dockerd": 8 if bridged else 6,
        "files.process containerd": 4,
        "files.process tester": 1,
        f"inotify.instances {_ROOT}": 1,
        f"inotify.watches {_ROOT}": 1,
        "disk.space docker": MIB / 4,
        "disk.inodes docker": 61,
        # Which of the two is on another disk than the containers' files, and often in memory, depends on the host.
        "disk.space docker-state": STATE_BYTES,
        "disk.space containerd-state": STATE_BYTES,
        "disk.inodes docker-state": STATE_INODES,
        "disk.inodes containerd-state": STATE_INODES,
        f"keys.user {_ROOT}": 1,
        f"keys.bytes {_ROOT}": 70,
        "mounts.namespace *": 2,
        **{f"namespaces.user {kind}": 1 for kind in kinds},
        "cgroups.memcg": 1,
        **_port(bridged=bridged),
    }


def _machine(workload: Workload) -> dict[str, float]:
    return {
        "memory.available": workload.memory_bytes + VM_OVERHEAD_BYTES,
        "memory.cgroup": workload.memory_bytes + VM_OVERHEAD_BYTES,
        "memory.commit": workload.memory_bytes + VM_OVERHEAD_BYTES,
        "tasks.pid_max": 8,
        "tasks.threads_max": 8,
        "tasks.cgroup": 8,
        "files.file_max": 60,
        "files.process libvirtd": 4,
        "files.process virtqemud": 4,
        "files.process virtlogd": 2,
        "files.process tester": 1,
        "namespaces.user mnt": 1,
        "cgroups.memcg": 1,
        "libvirt.processes": 6,
        **_port(bridged=workload.network not in {"none", "user"}),
    }


def _lxc(workload: Workload) -> dict[str, float]:
    """Measured with libvirt 9.0, 59 containers: each has a process of libvirt's, with three threads, beside its own."""
    kinds = ("pid", "ipc", "uts", "net")
    return {
        "memory.available": 5 * MIB + workload.touch_bytes,
        "memory.cgroup": 3 * MIB + workload.touch_bytes,
        "tasks.pid_max": 4,
        "tasks.threads_max": 4,
        "tasks.cgroup": 4,
        "files.file_max": 80,
        "files.process libvirtd": 2,
        "files.process virtlxcd": 2,
        "files.process tester": 1,
        "ptys": 2,
        "namespaces.user mnt": 2,
        **{f"namespaces.user {kind}": 1 for kind in kinds},
        "cgroups.memcg": 1,
        **_port(bridged=workload.network != "none"),
    }


def _port(*, bridged: bool) -> dict[str, float]:
    """Which bridge it is, the engine knows; the sensors watch no others."""
    return {"network.bridge_ports *": 1, "network.addresses *": 1, "network.backlog *": 1} if bridged else {}
