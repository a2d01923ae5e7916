"""Why a ceiling of the catalogue has no use and limit on this host."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from density.ceilings.catalog import CATALOG, Ceiling
from density.ceilings.reading import Reading


@dataclass(frozen=True, slots=True)
class Absent:
    """A ceiling, or a sensor that would tell of several, that says nothing.

    Attributes:
        unavailable: it should say something and cannot; else there is nothing to say, such as where no limit is set.
    """

    name: str
    why: str
    unavailable: bool


_SENSORS: Mapping[str, tuple[str, ...]] = {
    "memory.cgroup": ("slice", "own"),
    "tasks.cgroup": ("slice", "own"),
    "files.process": ("tester",),
    "inotify.instances": ("census", "limits"),
    "inotify.watches": ("census", "limits"),
    "namespaces.user": ("census", "limits"),
    "libvirt.processes": ("census",),
    "mounts.namespace": ("mounts.host", "limits"),
    "cgroups.memcg": ("cgroups",),
    "cpu.pressure": ("pressure",),
    "memory.pressure": ("pressure",),
    "io.pressure": ("pressure",),
}
"""The sensors behind a ceiling, where they are not called like it or like its first word."""

_NO_LIMIT = "neither a [slice] in the profile nor a unit sets a limit"
_NO_BRIDGE = "the workloads plug into no bridge that is known"
_NO_DAEMON = "no daemon can be watched"
_BY_ERRORS = "no sensor reads it: error messages name it"
_NOTHING_TO_SAY: Mapping[str, str] = {
    "memory.cgroup": _NO_LIMIT,
    "tasks.cgroup": _NO_LIMIT,
    "memory.commit": "no limit while vm.overcommit_memory is not 2",
    "network.bridge_ports": _NO_BRIDGE,
    "network.addresses": f"{_NO_BRIDGE}, or no run has asked how many addresses it has",
    "network.backlog": _NO_BRIDGE,
    "libvirt.processes": "no VM is running, or its user has no limit",
    "maps.process": _NO_DAEMON,
    "engine.requests": _NO_DAEMON,
    "engine.overload": _NO_DAEMON,
    "engine.locks": _BY_ERRORS,
    "network.pools": _BY_ERRORS,
    "disk.thin_pool": _BY_ERRORS,
    "bpf.jit": _BY_ERRORS,
    "ipc.semaphores": _BY_ERRORS,
    "ipc.shared_memory": _BY_ERRORS,
    "memory.hugepages": "no huge pages are set aside",
    "memory.swap": "there is no swap",
}


def absent(found: Sequence[Reading], unavailable: Mapping[str, str]) -> Iterator[Absent]:
    """Every ceiling without a reading, then every sensor that is silent without a whole ceiling being missed for it.

    Args:
        found: what could be read.
        unavailable: sensor -> why it cannot be read.
    """
    told = set()
    for ceiling in CATALOG:
        if any(reading.ceiling == ceiling.id for reading in found):
            continue
        sensors = [name for name in unavailable if _is_behind(name, ceiling.id)]
        told.update(sensors)
        if sensors:
            yield Absent(ceiling.id, "; ".join(dict.fromkeys(unavailable[name] for name in sensors)), unavailable=True)
        else:
            yield Absent(ceiling.id, _reason(ceiling), unavailable=False)
    for name, why in unavailable.items():
        if name not in told:
            yield Absent(name, why, unavailable=True)


def _is_behind(sensor: str, ceiling: str) -> bool:
    wanted = _SENSORS.get(ceiling, (ceiling, ceiling.partition(".")[0]))
    return sensor in wanted or sensor.startswith(f"{ceiling}.")


def _reason(ceiling: Ceiling) -> str:
    reason = _NOTHING_TO_SAY.get(ceiling.id)
    if reason:
        return reason
    if ceiling.own:
        return "a limit of each instance, read where one fails"
    return "measured during a run, where the profile asks for it" if ceiling.soft else "no limit is set here"
