"""What the keys of a profile have to do with each other; each rule yields what is wrong and assumes nothing else is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

from density.model import EngineName
from density.profile.document import Document, WorkloadTable
from density.profile.kinds import Kind, kind_of, users
from density.profile.problems import Key, Problem, found, listed
from density.profile.scalars import NAME_ALLOWED
from density.profile.spec import LEAST_RESERVE_BYTES
from density.units import format_bytes, format_seconds

TEARDOWN_TASKS = 500
"""About twice the 264 that were left after 2,570 containers: nothing could fork then, and tearing down took 334 s."""
LEASE = (5.0, 3600.0)
"""Seconds: renewed three times within the shortest, a busy host is late by a second or two."""
SHAPES = {"start": ("linear", "geometric"), "step": ("linear",), "factor": ("geometric",), "waves": ("list",)}
"""The keys of the ramp that only some shapes use."""


def _names(document: Document) -> Iterator[Problem]:
    if document.name is None:
        yield Problem(("name",), f"missing; allowed is {NAME_ALLOWED}")
    if not document.workloads:
        yield Problem(("workloads",), "missing; at least one table [workloads.NAME] is needed")


def _lease(document: Document) -> Iterator[Problem]:
    if not LEASE[0] <= document.lease <= LEASE[1]:
        yield Problem(("lease",), f"found {format_seconds(document.lease)}; allowed is 5 s to 1 h")


def _ramp(document: Document) -> Iterator[Problem]:
    ramp = document.ramp
    for name in sorted(ramp.model_fields_set & SHAPES.keys()):
        if ramp.shape not in SHAPES[name]:
            shapes = listed([f'"{shape}"' for shape in SHAPES[name]], "or")
            text = f'not used with shape = "{ramp.shape}"; it is for shape = {shapes}'
            yield Problem(("ramp", name), text, (("ramp", "shape"),))
    if ramp.shape == "list" and not ramp.waves:
        yield Problem(
            ("ramp", "waves"), 'missing; shape = "list" needs a list such as [5, 10, 20]', (("ramp", "shape"),)
        )


def _reserve(document: Document) -> Iterator[Problem]:
    reserve = document.reserve
    if reserve.tasks < TEARDOWN_TASKS:
        text = (
            f"found {reserve.tasks}; allowed is {TEARDOWN_TASKS} or more, because with fewer the engines cannot fork "
            "to remove what they run"
        )
        yield Problem(("reserve", "tasks"), text)
    if reserve.memory is not None and reserve.memory < LEAST_RESERVE_BYTES:
        text = (
            f"found {format_bytes(reserve.memory)}; allowed is {format_bytes(LEAST_RESERVE_BYTES)} or more, because "
            "with less the engines or the tester may be killed before all is removed"
        )
        yield Problem(("reserve", "memory"), text)


def _require(document: Document) -> Iterator[Problem]:
    """What is recommended has to have run, and to have been held; the other two may be found by a forecast."""
    wanted, ramp = document.require.recommended, document.ramp
    if wanted > ramp.max:
        text = f"found {wanted}; allowed is at most ramp.max, which is {ramp.max}: no more are ever launched"
        yield Problem(("require", "recommended"), text, (("ramp", "max"),))
    if wanted and not ramp.hold:
        text = f"found {wanted}; allowed is 0 where ramp.hold is 0: without a hold nothing is recommended"
        yield Problem(("require", "recommended"), text, (("ramp", "hold"),))


def _objectives(document: Document) -> Iterator[Problem]:
    """An objective that cannot be measured would never be missed, and the run would be taken for proof of it."""
    kinds = list(filter(None, map(kind_of, document.workloads.values())))
    wanted = document.objectives.probe_p99
    if wanted is None or not kinds or any(kind.answers_pings for kind in kinds):
        return
    names = listed(list(dict.fromkeys(each.what for each in kinds)), "and")
    text = (
        f'found "{format_seconds(wanted)}"; only density\'s payload answers pings, and there is none in {names}; '
        'allowed is "off"'
    )
    yield Problem(("objectives", "probe_p99"), text, (("workloads",),))


def _workloads(document: Document) -> Iterator[Problem]:
    for name, workload in document.workloads.items():
        key = ("workloads", name)
        kind = kind_of(workload)
        if kind is None:
            names = [f'"{name}"' for name in get_args(EngineName)]
            yield Problem((*key, "engine"), f"missing; allowed is {listed(names, 'or')}")
            continue
        yield from _used(key, workload, kind)
        yield from _image(key, workload)
        yield from _ready(key, workload, kind)
        yield from _memory(key, workload, kind)
        yield from _cpus(key, workload, kind)


def _libvirt(document: Document) -> Iterator[Problem]:
    """One endpoint makes containers or VMs, never both."""
    endpoint = document.engines.libvirt
    makes_containers = endpoint.startswith("lxc")
    if makes_containers:
        allowed = f'"none": libvirt makes containers at "{endpoint}"'
    else:
        allowed = '"payload", "null" or "disk": libvirt makes VMs, but at engines.libvirt = "lxc:///system"'
    for name, workload in document.workloads.items():
        if workload.engine == "libvirt" and (workload.guest == "none") != makes_containers:
            text = f'found "{workload.guest or "payload"}"; allowed is {allowed}'
            yield Problem(("workloads", name, "guest"), text, (("engines", "libvirt"),))


def _image(key: Key, workload: WorkloadTable) -> Iterator[Problem]:
    """A path may begin with ~USER."""
    if workload.guest == "disk" and workload.image:
        try:
            Path(workload.image).expanduser()
        except RuntimeError:
            yield Problem((*key, "image"), f"found {found(workload.image)}; nobody knows that home directory")


def _depends(key: Key) -> tuple[Key, ...]:
    """The keys that make a workload's kind."""
    return (*key, "engine"), (*key, "image"), (*key, "guest")


def _used(key: Key, workload: WorkloadTable, kind: Kind) -> Iterator[Problem]:
    for name in sorted(workload.model_fields_set - kind.keys):
        text = f"not used by {kind.what}; it is for {listed(users(name), 'and')}"
        yield Problem((*key, name), text, tuple(other for other in _depends(key) if other[-1] != name))
    for name, allowed in kind.must.items():
        if name not in workload.model_fields_set:
            yield Problem((*key, name), f"missing; {kind.what} needs {allowed}", _depends(key)[::2])


def _ready(key: Key, workload: WorkloadTable, kind: Kind) -> Iterator[Problem]:
    if workload.ready and workload.ready.by not in kind.ready:
        ways = listed([f'"{way}"' for way in kind.ready], "or")
        text = f'found "{workload.ready.by}"; allowed for {kind.what} is {ways}'
        yield Problem((*key, "ready"), text, _depends(key))


def _memory(key: Key, workload: WorkloadTable, kind: Kind) -> Iterator[Problem]:
    if "memory" not in kind.keys:
        return
    memory = kind.memory_bytes if workload.memory is None else workload.memory
    limited = memory > 0 or kind.memory_bytes > 0
    if limited and memory < kind.least_memory_bytes:
        text = f"found {format_bytes(memory)}; {kind.what} needs at least {format_bytes(kind.least_memory_bytes)}"
        yield Problem((*key, "memory"), text, _depends(key))
        return
    touch = (workload.touch or 0) if "touch" in kind.keys else 0
    if limited and touch and touch + kind.overhead_bytes > memory:
        text = (
            f"found {format_bytes(touch)}; {kind.what} and memory = {format_bytes(memory)} can touch at most "
            f"{format_bytes(memory - kind.overhead_bytes)}, as it needs {format_bytes(kind.overhead_bytes)} for itself"
        )
        yield Problem((*key, "touch"), text, ((*key, "memory"), *_depends(key)))


def _cpus(key: Key, workload: WorkloadTable, kind: Kind) -> Iterator[Problem]:
    if "cpus" not in kind.keys:
        return
    cpus = kind.cpus if workload.cpus is None else workload.cpus
    if kind.whole_cpus and (cpus < 1 or cpus != int(cpus)):
        yield Problem((*key, "cpus"), f"found {cpus:g}; a VM has whole CPUs, 1 or more", _depends(key))
    elif 0 < cpus < 0.01:
        yield Problem((*key, "cpus"), f"found {cpus:g}; allowed is 0.01 or more, or 0 for no limit", _depends(key))
    elif cpus and workload.burn and workload.burn > cpus:
        text = f"found {workload.burn:.0%}; the instance's cpus = {cpus:g} allow at most {cpus:.0%}"
        yield Problem((*key, "burn"), text, ((*key, "cpus"), *_depends(key)))


def _slice(document: Document) -> Iterator[Problem]:
    limit = document.slice.memory
    for name, workload in document.workloads.items():
        kind = kind_of(workload)
        if kind is None or not limit:
            continue
        need = workload.memory or kind.memory_bytes if kind.whole_cpus else workload.touch or 0
        if need > limit:
            text = f"found {format_bytes(limit)}; one instance of {name} alone takes {format_bytes(need)}"
            yield Problem(("slice", "memory"), text, (("workloads", name),))


def _simulated(document: Document) -> Iterator[Problem]:
    simulated = {name for name, workload in document.workloads.items() if workload.engine == "simulated"}
    if "simulated" in document.model_fields_set and not simulated:
        yield Problem(("simulated",), 'not used; no workload has engine = "simulated"', (("workloads",),))
        return
    for name in document.simulated.costs:
        if name not in simulated:
            text = f"there is no such simulated workload; allowed is {listed(sorted(simulated), 'or')}"
            yield Problem(("simulated", "costs", name), text, (("workloads",),))
    for resource in ("memory", "tasks", "files"):
        used, limit = getattr(document.simulated, f"used_{resource}"), getattr(document.simulated, resource)
        if used >= limit:
            show = format_bytes if resource == "memory" else str
            text = f"found {show(used)}; allowed is less than simulated.{resource}, which is {show(limit)}"
            yield Problem(("simulated", f"used_{resource}"), text, (("simulated", resource),))


RULES: tuple[Callable[[Document], Iterator[Problem]], ...] = (
    _names,
    _lease,
    _ramp,
    _reserve,
    _require,
    _objectives,
    _slice,
    _workloads,
    _libvirt,
    _simulated,
)
