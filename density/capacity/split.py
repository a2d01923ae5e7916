"""Where an instance's memory goes: its own processes, the engine's, the kernel, the tester."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from density.capacity.footprint import Line
from density.capacity.outlook import fit
from density.capacity.rested import rested
from density.model import Workload
from density.state import RunState

Values = Mapping[str, float]


def _kernel(values: Values) -> float:
    whole = sum(values[f"memory.{part}_bytes"] for part in ("slab", "pagetables", "kernelstack"))
    return whole - values["slice.kernel_bytes"]


def _engine(values: Values) -> float:
    own = values["slice.anon_bytes"] if "slice.anon_bytes" in values else values["slice.memory_bytes"]
    return values["memory.anon_bytes"] - own - values.get("tester.rss_bytes", 0.0)


PARTS: Mapping[str, Callable[[Values], float]] = {
    "memory.instance": lambda values: values["slice.memory_bytes"],
    "memory.engine": _engine,
    "memory.kernel": _kernel,
    "memory.tester": lambda values: values["tester.rss_bytes"],
}
"""Part of the memory -> how it is read.

`memory.instance` is what the slice is charged: the payload, or QEMU with its guest, with kernel memory of its own.
`memory.engine` is anonymous memory outside of it: daemons and shims. `memory.kernel` is the host's slab, page tables
and stacks beyond what the slice is charged, which cgroup v2 tells since Linux 5.18.
`memory.tester` is density itself, which the others leave out.
"""


def split_memory(state: RunState, workloads: Sequence[Workload]) -> dict[str, Line]:
    """A line in bytes for each part that the host tells of, fitted like the ceilings' own."""
    names = tuple(workload.name for workload in workloads)
    found: dict[str, Line] = {}
    rests = [rest for rest in state.rests if rest]
    for part, read in PARTS.items():
        try:
            uses = [np.array([read(sample.values) for sample in rest]) for rest in rests]
        except KeyError:
            continue
        if not all(np.isfinite(use).all() for use in uses):
            continue
        values = [rested(np.array([sample.at for sample in rest]), use) for rest, use in zip(rests, uses, strict=True)]
        if fitted := fit([rest[0].counts for rest in rests], values, names):
            found[part] = fitted
    return found
